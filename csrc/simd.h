/* The kernels of the SIMD level HF_LEVEL that this file is being compiled for: their names end in it. */
#ifndef HESSFAST_SIMD_H
#define HESSFAST_SIMD_H

#include "hessfast.h"

#ifndef HF_LEVEL
#define HF_LEVEL baseline
#endif
#define HF_JOIN_AGAIN(a, b) a##_##b
#define HF_JOIN(a, b) HF_JOIN_AGAIN(a, b)
#define HF_SIMD(name) HF_JOIN(name, HF_LEVEL)

hf_quadform_fn HF_SIMD(hf_quadform), HF_SIMD(hf_quadform_sized);
hf_quadform_stack_fn HF_SIMD(hf_quadform_stack);
hf_quadform_vectors_fn HF_SIMD(hf_quadform_vectors);
hf_quadform_compensated_fn HF_SIMD(hf_quadform_compensated);
hf_symmetrize_fn HF_SIMD(hf_symmetrize);
hf_read_fn HF_SIMD(hf_read);

extern const hf_kernels HF_SIMD(hf_kernels);

#endif
