/*
 * Types and functions that all other headers use: status and error, logits, instruction sets,
 * memory, threads, version.
 *
 * Conventions of the whole API
 *   - Every fallible function returns a pluck_status and takes a trailing pluck_error *err, which
 *     may be NULL. On failure err->message is one line that says what was wrong and, where that
 *     helps, at what place and what is expected. On success err is not written.
 *   - If a required pointer is NULL, a function returns PLUCK_ERR_INVALID. A function that does not
 *     return a pluck_status returns 0, NULL or false instead, or does nothing. Comments name the
 *     pointers that may be NULL.
 *   - After a failure every object and output is as it was before the call, unless the comment of
 *     the function says otherwise.
 *   - Functions named *_create*, *_open* and *_from_json make objects. On failure they set *out to
 *     NULL. *_destroy takes the address of the pointer, frees the object and sets the pointer to
 *     NULL; destroying NULL is allowed.
 *   - An object may be used by one thread at a time; different objects may be used by different
 *     threads at once. Functions that take an object as const may be called with the same object by
 *     many threads at once.
 *   - A call needs at most 64 KiB of stack. Threads that the library starts have stacks of their
 *     own and block signals. They do not exist in a child process after fork(): calls there run on
 *     the calling thread.
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
#elif defined(__GNUC__) && !defined(PLUCK_STATIC)
#    define PLUCK_API __attribute__((visibility("default")))
#else
#    define PLUCK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* PLUCK_API_NUMBER grows by one with every addition to the API. PLUCK_ABI_NUMBER is the shared
 * library's soversion: it grows when a program that was built with an older header could no longer
 * run.
 *   API 1  softmax family, random numbers, samplers, configuration, dumps, heads, stored
 *          distributions, tuning, jobs over many processes. */
#define PLUCK_API_NUMBER 1
#define PLUCK_ABI_NUMBER 1

/* "major.minor.patch" of the library that is linked; static storage. */
PLUCK_API const char *pluck_version(void);

/* PLUCK_API_NUMBER of the library that is linked. */
PLUCK_API uint32_t pluck_api_number(void);

typedef int32_t pluck_token; /* same width as llama_token; valid tokens are 0 .. n_vocab - 1 */

/* Stands for a missing or unknown token. */
#define PLUCK_NO_TOKEN ((pluck_token)-1)

/* The largest vocabulary: n_vocab is in [1, PLUCK_MAX_VOCAB] everywhere. */
#define PLUCK_MAX_VOCAB ((uint32_t)1 << 24)

/* The values and their meanings never change; later versions of the library add values at the
 * end. */
typedef enum pluck_status {
    PLUCK_OK = 0,
    PLUCK_ERR_INVALID, /* a wrong argument: a required pointer is NULL, a token is out of range */
    PLUCK_ERR_NOMEM,   /* an allocation failed */
    PLUCK_ERR_CONFIG,  /* a configuration does not parse, or a parameter is out of its range */
    PLUCK_ERR_EMPTY,   /* nothing can be chosen: all logits are -inf or masked, or all weights 0 */
    PLUCK_ERR_NAN,     /* a logit is NaN or +inf, or another number that must be finite is not */
    PLUCK_ERR_IO,      /* the operating system could not open, read or write a file */
    PLUCK_ERR_FORMAT,  /* a file, or a saved state, is not what its format demands */
    PLUCK_ERR_SPACE    /* the caller's buffer is too small; the size it needs was written */
} pluck_status;

/* "PLUCK_ERR_NAN" and so on; "unknown status" for a value outside the enumeration. Static
 * storage. */
PLUCK_API const char *pluck_status_name(pluck_status status);

/* The message is safe to print: characters that a terminal acts on are escaped (\n, \u{1B}; \xFF
 * for a byte that is not UTF-8), and in a message that is too long an ellipsis replaces the
 * middle. */
typedef struct pluck_error {
    pluck_status status;
    char message[256]; /* one NUL-terminated line */
} pluck_error;

typedef enum pluck_dtype {
    PLUCK_F32 = 0,  /* IEEE binary32 */
    PLUCK_F16 = 1,  /* IEEE binary16 */
    PLUCK_BF16 = 2, /* the upper half of a binary32 */
    PLUCK_F64 = 3   /* IEEE binary64: weights (weighted.h), never logits */
} pluck_dtype;

/* "f32", "f16", "bf16", "f64"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_dtype_name(pluck_dtype dtype);

/* Bytes of one value: 4, 2, 2, 8; 0 for a value outside the enumeration. */
PLUCK_API size_t pluck_dtype_size_bytes(pluck_dtype dtype);

/* A row of logits: n_vocab values at data, in the byte order of this machine, at any alignment.
 * Logits are on the natural-log scale, and -inf bans a token. The values are borrowed for the call
 * and never written. */
typedef struct pluck_logits {
    const void *data;
    pluck_dtype dtype;
    uint32_t n_vocab;
} pluck_logits;

/* n_rows rows of n_cols values each, at any alignment: the logits of a batch, or weights. If rows
 * is not NULL, row r is at rows[r], which may be anywhere; data is not used. If rows is NULL, row r
 * is at data + r * row_stride_bytes; a stride of 0 means that rows follow each other without a gap.
 * A matrix of weights must have rows NULL. */
typedef struct pluck_matrix {
    const void *data;
    const void *const *rows;
    pluck_dtype dtype;
    uint32_t n_cols;
    size_t n_rows, row_stride_bytes;
} pluck_matrix;

/* A token and the natural logarithm of its probability. */
typedef struct pluck_logprob {
    pluck_token token;
    float logprob;
} pluck_logprob;

/*
 * Instruction sets. Results are identical, bit for bit, on all of them; only the time differs. A
 * set is supported when both the processor and the operating system support it and this build has
 * code for it.
 */
typedef enum pluck_isa {
    PLUCK_ISA_BEST = 0,   /* the fastest supported set */
    PLUCK_ISA_SCALAR = 1, /* always supported          */
    PLUCK_ISA_AVX2 = 2,   /* AVX2, FMA and F16C        */
    PLUCK_ISA_AVX512 = 3, /* AVX-512 F, BW, DQ and VL  */
    PLUCK_ISA_NEON = 4,   /* AArch64 Advanced SIMD     */
    PLUCK_ISA_SSE2 = 5,   /* x86 without AVX2 or FMA   */
    PLUCK_ISA_WASM = 6,   /* WebAssembly SIMD128       */
    PLUCK_ISA_VECTOR = 7  /* any other set of instructions that has a fused multiply-add */
} pluck_isa;

PLUCK_API bool pluck_isa_supported(pluck_isa isa);

/* "best", "scalar", "avx2", "avx512", "neon", "sse2", "wasm", "vector"; NULL for a value outside
 * the enumeration. */
PLUCK_API const char *pluck_isa_name(pluck_isa isa);

/* Writes the set with this name to *isa. PLUCK_ERR_INVALID if the name is unknown, or if the set is
 * not supported here. */
PLUCK_API pluck_status pluck_isa_from_name(const char *name, pluck_isa *isa, pluck_error *err);

/*
 * Whether this build computes what every build of pluck computes: compares 64 results, on each
 * supported instruction set, with bits that are built in. It takes microseconds. PLUCK_ERR_INVALID
 * if one differs; the message names the compiler's flag where it can. For the tests of a program
 * that compiles pluck with flags of its own.
 *
 *     pluck_error err;
 *     if (pluck_self_test(&err) != PLUCK_OK)
 *         fail(err.message);
 */
PLUCK_API pluck_status pluck_self_test(pluck_error *err);

/*
 * Where memory comes from. alloc returns size_bytes > 0 bytes, aligned for any type, or NULL if it
 * has none. free takes a pointer that alloc returned, never NULL. Both may be called from any
 * thread that uses an object created with this allocator. A NULL pluck_allocator * means malloc and
 * free.
 */
typedef struct pluck_allocator {
    void *(*alloc)(void *user, size_t size_bytes);
    void (*free)(void *user, void *memory);
    void *user;
} pluck_allocator;

/*
 * Whose threads to use: an application's own pool, or the library's pool below. A function that
 * takes a pluck_parallel starts no threads itself; with NULL it works on the calling thread alone.
 * Results do not depend on whose threads work.
 *
 * run calls task(data, worker, item) once for each item in [0, n_items), in any order and on any
 * threads, and returns when all calls have returned. worker is below n_workers, and no two calls
 * with the same worker overlap. run may make all calls on the calling thread.
 */
typedef struct pluck_parallel {
    void (*run)(void *user, size_t n_items, void (*task)(void *data, uint32_t worker, size_t item),
                void *data);
    void *user;
    uint32_t n_workers; /* >= 1 */
} pluck_parallel;

/*
 * The library's own threads. They start when a call first needs them and sleep between calls. If
 * the operating system refuses to start a thread, the pool works with the threads that it has.
 *
 * One call at a time uses the pool: a call that finds it busy runs its items on the calling thread.
 * So does a call in a process that was forked after threads had been started.
 */
typedef struct pluck_pool pluck_pool;

/* Makes a pool of n_threads threads, the calling thread included. 0: one thread for each processor
 * that this process may use. A number above 1024 counts as 1024. allocator NULL: malloc and free;
 * otherwise it must outlive the pool. */
PLUCK_API pluck_status pluck_pool_create(pluck_pool **out, uint32_t n_threads,
                                         const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_pool_destroy(pluck_pool **pool);

/* The threads of the pool, for functions that take a pluck_parallel. The pointer is valid until the
 * pool is destroyed. */
PLUCK_API const pluck_parallel *pluck_pool_parallel(const pluck_pool *pool);

/*
 * Structs that begin with struct_size can get more fields in a later version, and programs still
 * work. Make them with PLUCK_INIT, which sets struct_size and makes all other fields zero, their
 * default:
 *
 *     pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
 *
 * The library reads or writes only the first struct_size bytes of a struct, and takes fields behind
 * them as zero. PLUCK_ERR_INVALID if struct_size is less than sizeof(size_t), 0 for example,
 * because all fields would be ignored silently. If struct_size is larger than the struct that the
 * library knows, the surplus bytes of a struct that it reads must be zero, else PLUCK_ERR_INVALID.
 */
#ifdef __cplusplus
extern "C++" {
template <class T> inline T pluck_init()
{
    T value{};
    value.struct_size = sizeof value;
    return value;
}
}
#    define PLUCK_INIT(type) pluck_init<type>()
#else
#    define PLUCK_INIT(type) ((type){.struct_size = sizeof(type)})
#endif

#ifdef __cplusplus
}
#endif

#endif
