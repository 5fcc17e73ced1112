/* What was built, and one choice among its SIMD levels by what the processor says of itself. */
#include <string.h>

#include "hessfast.h"

extern const hf_kernels hf_kernels_baseline, hf_kernels_v3; /* kernels.c, compiled for each level */

static bool has_baseline(void) { return true; }

#ifdef HF_HAVE_V3
static bool has_v3(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

typedef struct {
    const char *name;
    bool (*supported)(void);
    const hf_kernels *kernels;
} level_entry;

static const level_entry LEVELS[] = { /* best first */
#ifdef HF_HAVE_V3
    {"x86-64-v3", has_v3, &hf_kernels_v3},
#endif
    {"baseline", has_baseline, &hf_kernels_baseline},
};

hf_simd_status hf_choose_simd(const char *level, hf_kernels *kernels, const char **name)
{
    const bool any = !level || !*level;
    for (size_t l = 0; l < sizeof LEVELS / sizeof *LEVELS; l++) {
        if (!any && strcmp(level, LEVELS[l].name) != 0) continue;
        if (LEVELS[l].supported()) {
            *kernels = *LEVELS[l].kernels;
            *name = LEVELS[l].name;
            return HF_SIMD_OK;
        }
        if (!any) return HF_SIMD_UNSUPPORTED;
    }
    return HF_SIMD_UNKNOWN;
}

const char *hf_simd_name(size_t l)
{
    return l < sizeof LEVELS / sizeof *LEVELS ? LEVELS[l].name : NULL;
}

const char *hf_compiler(void) { return HF_COMPILER; }
const char *hf_compiler_options(void) { return HF_COMPILER_OPTIONS; }
