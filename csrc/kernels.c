/* The table of one SIMD level's kernels.
 *
 * This file is compiled once for each SIMD level.
 */
#include "simd.h"

const hf_kernels HF_SIMD(hf_kernels) = {
    .quadform = HF_SIMD(hf_quadform),
    .quadform_sized = HF_SIMD(hf_quadform_sized),
    .quadform_stack = HF_SIMD(hf_quadform_stack),
    .quadform_vectors = HF_SIMD(hf_quadform_vectors),
    .quadform_compensated = HF_SIMD(hf_quadform_compensated),
    .symmetrize = HF_SIMD(hf_symmetrize),
    .read = HF_SIMD(hf_read),
};
