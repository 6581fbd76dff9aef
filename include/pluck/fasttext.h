/*
 * fastText models (.bin, .ftz): they turn a line of text into features, the features into a hidden
 * state, and the hidden state into labels.
 *
 * Files of version 11 and 12 can be read: supervised, skip-gram and CBOW models, with hierarchical
 * softmax, softmax, one-vs-all and negative-sampling outputs. Matrices may be dense or quantised,
 * and dictionaries pruned. The layout is written down in lib/heads/fasttext/fasttext_file.c. The
 * file is mapped and stays open. Opening takes one pass over its dictionary and its output matrix;
 * it does not read the input matrix.
 *
 * A pluck_fasttext is constant once opened, and many threads may use it at once. A
 * pluck_fasttext_query has the scratch memory of one thread.
 *
 *     pluck_fasttext *model = NULL;
 *     pluck_fasttext_query *query = NULL;
 *     pluck_fasttext_request request = PLUCK_INIT(pluck_fasttext_request);
 *     pluck_fasttext_label labels[3];
 *     uint32_t n = 0;
 *     request.k = 3;
 *     if (pluck_fasttext_open(&model, "lid.176.ftz", NULL, &err) == PLUCK_OK &&
 *         pluck_fasttext_query_create(&query, model, NULL, &err) == PLUCK_OK &&
 *         pluck_fasttext_query_predict(query, line, strlen(line), &request, labels, &n, &err) ==
 *             PLUCK_OK)
 *         for (uint32_t i = 0; i < n; i++)
 *             printf("%s %g\n", labels[i].text, labels[i].prob);
 *     pluck_fasttext_query_destroy(&query);
 *     pluck_fasttext_destroy(&model);
 *
 * Sources: P. Bojanowski, E. Grave, A. Joulin, T. Mikolov, "Enriching Word Vectors with Subword
 * Information", 2017; A. Joulin et al., "Bag of Tricks for Efficient Text Classification", 2016,
 * and "FastText.zip: Compressing text classification models", 2016.
 */
#ifndef PLUCK_FASTTEXT_H
#define PLUCK_FASTTEXT_H

#include <pluck/base.h>
#include <pluck/head.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_fasttext pluck_fasttext;

typedef struct pluck_fasttext_options {
    size_t struct_size;

    /* The prefix with which labels begin in a text, which the file does not say. NULL: "__label__".
     * Words of a text that have the prefix and are not in the dictionary are left out. */
    const char *label_prefix;
    pluck_isa isa;                    /* the instruction set; 0: the best that is supported */
    const pluck_allocator *allocator; /* NULL: malloc and free; must outlive the model */
    bool no_map; /* read the file into memory instead of mapping it (reasons: dump.h) */
} pluck_fasttext_options;

/* Opens a file. options may be NULL. PLUCK_ERR_FORMAT if the file is not a fastText model. Every
 * size in the file is compared with the size of the file before memory is allocated. On failure
 * *out is NULL. */
PLUCK_API pluck_status pluck_fasttext_open(pluck_fasttext **out, const char *path,
                                           const pluck_fasttext_options *options, pluck_error *err);

/* Opens a model whose file is in memory, size_bytes long; bytes is borrowed until the model is
 * destroyed. Messages show name in the place of a path. */
PLUCK_API pluck_status pluck_fasttext_open_memory(pluck_fasttext **out, const char *name,
                                                  const void *bytes, size_t size_bytes,
                                                  const pluck_fasttext_options *options,
                                                  pluck_error *err);

PLUCK_API void pluck_fasttext_destroy(pluck_fasttext **model);

typedef enum pluck_fasttext_loss {
    PLUCK_FASTTEXT_HS = 1,
    PLUCK_FASTTEXT_NS = 2,
    PLUCK_FASTTEXT_SOFTMAX = 3,
    PLUCK_FASTTEXT_OVA = 4
} pluck_fasttext_loss;

typedef enum pluck_fasttext_kind {
    PLUCK_FASTTEXT_CBOW = 1,
    PLUCK_FASTTEXT_SKIPGRAM = 2,
    PLUCK_FASTTEXT_SUPERVISED = 3
} pluck_fasttext_kind;

typedef struct pluck_fasttext_info {
    size_t struct_size;
    pluck_fasttext_kind kind;
    pluck_fasttext_loss loss;
    uint32_t dim, n_words, n_labels;
    uint32_t n_outputs;                /* labels of a supervised model, else words */
    uint32_t word_ngrams;              /* longest n-gram, in words; 1: words only */
    uint32_t min_subword, max_subword; /* lengths in code points; max 0: no subwords */
    uint32_t n_buckets;
    bool is_input_quantised, is_output_quantised, is_pruned;
} pluck_fasttext_info;

PLUCK_API pluck_status pluck_fasttext_get_info(const pluck_fasttext *model,
                                               pluck_fasttext_info *info, pluck_error *err);

/* The text of an output (label or word), NUL-terminated, borrowed until the model is destroyed;
 * NULL if output >= n_outputs. *count, unless count is NULL, becomes the number of times that the
 * output occurred in training; 0 if output >= n_outputs. */
PLUCK_API const char *pluck_fasttext_output(const pluck_fasttext *model, uint32_t output,
                                            int64_t *count);

/* The head that computes outputs from a hidden state, borrowed until the model is destroyed. It is
 * a hierarchical head if the loss is PLUCK_FASTTEXT_HS, and a dense head if it is
 * PLUCK_FASTTEXT_SOFTMAX. NULL for the other losses, whose outputs are not a distribution. */
PLUCK_API const pluck_head *pluck_fasttext_head(const pluck_fasttext *model);

typedef struct pluck_fasttext_query pluck_fasttext_query;

/* Makes a query, which allocates memory. model must outlive the query. Later calls allocate memory
 * only when a line is longer than all lines before it. */
PLUCK_API pluck_status pluck_fasttext_query_create(pluck_fasttext_query **out,
                                                   const pluck_fasttext *model,
                                                   const pluck_allocator *allocator,
                                                   pluck_error *err);
PLUCK_API void pluck_fasttext_query_destroy(pluck_fasttext_query **query);

/*
 * The features of text[size_bytes], as fastText reads a line. *features becomes an array of *n row
 * numbers of the input matrix, in fastText's order, which is valid until the next call with this
 * query. Words are split at space, \n, \r, \t, \v, \f and \0. A newline counts as the word "</s>",
 * and the line ends after the first such word. Bytes behind it are not read; *used_bytes, unless
 * used_bytes is NULL, becomes the number of bytes read. fastText reads lines with their newline, so
 * include the newline to get the features that fastText gets. Features are words, and also subwords
 * and word n-grams if the model has them.
 */
PLUCK_API pluck_status pluck_fasttext_query_features(pluck_fasttext_query *query, const char *text,
                                                     size_t size_bytes, const int32_t **features,
                                                     size_t *n, size_t *used_bytes,
                                                     pluck_error *err);

/* The hidden state of a line: the mean of the rows of its features; a feature that occurs twice
 * counts twice. *hidden becomes a pointer to dim floats, valid until the next call with this query.
 * If the line has no features, *hidden is NULL and the result is PLUCK_OK. */
PLUCK_API pluck_status pluck_fasttext_query_hidden(pluck_fasttext_query *query, const char *text,
                                                   size_t size_bytes, const float **hidden,
                                                   pluck_error *err);

typedef struct pluck_fasttext_label {
    uint32_t output;
    const char *text; /* valid until the model is destroyed */
    double prob;
} pluck_fasttext_label;

typedef struct pluck_fasttext_request {
    size_t struct_size;
    uint32_t k;       /* the largest number of labels; 0: 1 label */
    double threshold; /* the smallest probability of a label, in [0, 1] */

    /* fastText's own arithmetic (0.9.2), for comparisons; slower. It computes in floats and adds
     * 1e-5 inside each logarithm, so that probabilities are slightly too large (and can exceed 1).
     * It leaves out outputs whose probability is below threshold + 1e-5, and takes the sigmoids of
     * OVA and NS from a table of 512 entries. Which of equally probable outputs are listed, and in
     * which order, depends on the steps of fastText's heap. */
    bool compat;
} pluck_fasttext_request;

/*
 * The most probable outputs of a line, most probable first, ties by lower output. labels has room
 * for request->k; *n becomes the number of labels written, 0 for a line without features. request
 * NULL: the most probable output alone. HS and SOFTMAX give exact probabilities; OVA and NS give
 * the sigmoid of each output, and these do not add up to 1. A model that is not supervised gives
 * words instead of labels.
 */
PLUCK_API pluck_status pluck_fasttext_query_predict(pluck_fasttext_query *query, const char *text,
                                                    size_t size_bytes,
                                                    const pluck_fasttext_request *request,
                                                    pluck_fasttext_label *labels, uint32_t *n,
                                                    pluck_error *err);

/* What the head did for the last prediction: see pluck_head_query_get_stats(). */
PLUCK_API pluck_status pluck_fasttext_query_get_stats(const pluck_fasttext_query *query,
                                                      pluck_head_stats *stats, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
