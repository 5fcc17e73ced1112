/* What was built, and one choice among its SIMD levels by what the processor says of itself. */
#include <string.h>

#include "hessfast.h"

#define DECLARE(level)                                                                                               \
    void hf_quadform_##level(const hf_triangle *, const double *, size_t, size_t, hf_sums *);                        \
    void hf_quadform_sized_##level(const hf_triangle *, const double *, size_t, size_t, hf_sums *);                  \
    void hf_quadform_stack_##level(const hf_triangle *, size_t, ptrdiff_t, const double *, double *);                \
    void hf_quadform_vectors_##level(const hf_triangle *, size_t, const double *, size_t, size_t, size_t,            \
                                     hf_sums *);                                                                     \
    void hf_quadform_compensated_##level(const hf_triangle *, const double *, size_t, size_t, hf_twofold *);         \
    void hf_symmetrize_##level(size_t, size_t, double *, size_t);                                                    \
    double hf_read_##level(size_t, const double *);

#define KERNELS(level)                                                                                               \
    {hf_quadform_##level, hf_quadform_sized_##level, hf_quadform_stack_##level, hf_quadform_vectors_##level,         \
     hf_quadform_compensated_##level, hf_symmetrize_##level, hf_read_##level}

DECLARE(baseline)
#ifdef HF_HAVE_V3
DECLARE(v3)
#endif

static int has_baseline(void) { return 1; }

#ifdef HF_HAVE_V3
static int has_v3(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

typedef struct {
    const char *name;
    int (*supported)(void);
    hf_kernels kernels;
} level_entry;

static const level_entry LEVELS[] = { /* best first */
#ifdef HF_HAVE_V3
    {"x86-64-v3", has_v3, KERNELS(v3)},
#endif
    {"baseline", has_baseline, KERNELS(baseline)},
};

hf_simd_status hf_choose_simd(const char *level, hf_kernels *kernels, const char **name)
{
    const int any = !level || !*level;
    for (size_t l = 0; l < sizeof LEVELS / sizeof *LEVELS; l++) {
        if (!any && strcmp(level, LEVELS[l].name) != 0) continue;
        if (LEVELS[l].supported()) {
            *kernels = LEVELS[l].kernels;
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
