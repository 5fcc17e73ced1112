/* HF_SIMD(name): name with the SIMD level that this file is being compiled for appended to it. */
#ifndef HESSFAST_SIMD_H
#define HESSFAST_SIMD_H

#ifndef HF_LEVEL
#define HF_LEVEL baseline
#endif
#define HF_JOIN_AGAIN(a, b) a##_##b
#define HF_JOIN(a, b) HF_JOIN_AGAIN(a, b)
#define HF_SIMD(name) HF_JOIN(name, HF_LEVEL)

#endif
