/* What C11 lacks: inlining that is not left to the compiler, and asking for memory ahead. */
#ifndef HESSFAST_COMPILER_H
#define HESSFAST_COMPILER_H

#if defined(__GNUC__) && !defined(HF_PLAIN)
#define HF_INLINE static inline __attribute__((always_inline))
#define HF_PREFETCH(address) __builtin_prefetch(address)
#define HF_PREFETCH_FAR(address) __builtin_prefetch(address, 0, 2)
#else
#define HF_INLINE static inline
#define HF_PREFETCH(address) ((void)(address))
#define HF_PREFETCH_FAR(address) ((void)(address))
#endif

#endif
