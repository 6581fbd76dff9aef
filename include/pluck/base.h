/*
 * What every other header builds on: status and error, logits, instruction sets, allocator,
 * version.
 *
 * Conventions of the whole API
 *   - Every fallible function returns a pluck_status and takes a trailing pluck_error *err, which
 *     may be NULL. On failure err->message is one line that says what was wrong, where, and what
 *     would be right; on success err is not touched.
 *   - NULL for a pointer that is needed is PLUCK_ERR_INVALID. A function that returns no status
 *     then returns 0, NULL or false, or does nothing. Comments name the pointers that may be NULL.
 *   - "On failure nothing changed" holds for every function unless its comment says otherwise.
 *   - Objects come from *_create or *_from_*; *_destroy takes the address of the pointer, frees the
 *     object and sets the pointer to NULL; destroying NULL is allowed.
 *   - An object may be used by one thread at a time; different objects may be used by different
 *     threads at once. const objects may be read by many threads at once.
 *   - A call needs at most 64 KiB of stack; threads that the library starts have their own. They
 *     block signals, and none survives a fork: calls in the child run on the calling thread.
 *   - Strings are UTF-8. Sizes that end in _bytes are bytes; n_something counts elements.
 *   - The library never prints, exits or aborts, reads no environment variable and keeps no global
 *     state.
 */
#ifndef PLUCK_BASE_H
#define PLUCK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(PLUCK_SHARED)
#    ifdef PLUCK_BUILD
#        define PLUCK_API __declspec(dllexport)
#    else
#        define PLUCK_API __declspec(dllimport)
#    endif
#elif defined(__GNUC__)
#    define PLUCK_API __attribute__((visibility("default")))
#else
#    define PLUCK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The API number: it grows by one with every change of this API, and is the shared library's
 * soversion.
 *   1  first: softmax family, random numbers, samplers, configuration, dumps,
 *      heads, stored distributions, tuning. */
#define PLUCK_API_NUMBER 1

/* "major.minor.patch" of the library that is linked; static storage. */
PLUCK_API const char *pluck_version(void);

/* PLUCK_API_NUMBER of the library that is linked. */
PLUCK_API uint32_t pluck_api_number(void);

typedef int32_t pluck_token; /* same width as llama_token; valid tokens are 0 .. n_vocab - 1 */

/* The largest vocabulary: n_vocab is in [1, PLUCK_MAX_VOCAB] everywhere. */
#define PLUCK_MAX_VOCAB ((uint32_t)1 << 24)

/* Values never change meaning; new ones come at the end. */
typedef enum pluck_status {
    PLUCK_OK = 0,
    PLUCK_ERR_INVALID, /* a caller's mistake: NULL object, wrong size, token out of range */
    PLUCK_ERR_NOMEM,   /* an allocation failed; the object is unchanged */
    PLUCK_ERR_CONFIG,  /* a configuration does not parse, or a parameter is out of its range */
    PLUCK_ERR_EMPTY,   /* no token can be chosen: every logit is -inf or banned */
    PLUCK_ERR_NAN,     /* a logit is NaN or +inf */
    PLUCK_ERR_IO,      /* the system refused a file */
    PLUCK_ERR_FORMAT   /* a file's content is not what its format says */
} pluck_status;

/* "PLUCK_ERR_NAN" and so on; "unknown status" for a value outside the enumeration. Static
 * storage. */
PLUCK_API const char *pluck_status_name(pluck_status status);

/* The message is safe to print: characters that a terminal acts on are escaped (\n, \u{1B}; \xFF
 * for a byte that is not UTF-8), and an ellipsis stands for the middle of one that is too long. */
typedef struct pluck_error {
    pluck_status status;
    char message[256]; /* one NUL-terminated line, see below */
} pluck_error;

typedef enum pluck_dtype {
    PLUCK_F32 = 0, /* IEEE binary32 */
    PLUCK_F16 = 1, /* IEEE binary16 */
    PLUCK_BF16 = 2 /* the upper half of a binary32 */
} pluck_dtype;

/* "f32", "f16", "bf16"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_dtype_name(pluck_dtype dtype);

/* Bytes of one value: 4, 2, 2; 0 for a value outside the enumeration. */
PLUCK_API size_t pluck_dtype_size_bytes(pluck_dtype dtype);

/* n_vocab values at data, natural-log scale, host byte order, any alignment; -inf bans a token.
 * Borrowed for the call, never written. */
typedef struct pluck_logits {
    const void *data;
    pluck_dtype dtype;
    uint32_t n_vocab;
} pluck_logits;

/*
 * Instruction sets. Results are identical, bit for bit, on all of them; only the time differs. A
 * set is supported when both the processor and the operating system support it and this build has
 * code for it.
 */
typedef enum pluck_isa {
    PLUCK_ISA_BEST = 0,   /* the fastest supported one */
    PLUCK_ISA_SCALAR = 1, /* always supported          */
    PLUCK_ISA_AVX2 = 2,   /* AVX2, FMA and F16C        */
    PLUCK_ISA_AVX512 = 3, /* AVX-512 F, BW, DQ and VL  */
    PLUCK_ISA_NEON = 4    /* AArch64 Advanced SIMD     */
} pluck_isa;

PLUCK_API bool pluck_isa_supported(pluck_isa isa);

/* "best", "scalar", "avx2", "avx512", "neon"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_isa_name(pluck_isa isa);

/* The set with this name: PLUCK_ERR_INVALID for an unknown name or one that is not supported
 * here. */
PLUCK_API pluck_status pluck_isa_from_name(const char *name, pluck_isa *isa, pluck_error *err);

/*
 * Where memory comes from. alloc returns size_bytes (> 0) aligned for any type, or NULL; free takes
 * what alloc returned. Both may be called from any thread that uses an object created with this
 * allocator. A NULL pluck_allocator * means malloc and free.
 */
typedef struct pluck_allocator {
    void *(*alloc)(void *user, size_t size_bytes);
    void (*free)(void *user, void *memory);
    void *user;
} pluck_allocator;

#ifdef __cplusplus
}
#endif

#endif
