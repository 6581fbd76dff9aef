/*
 * What Dictionary::getLine, addSubwords, computeSubwords, addWordNgrams and pushHash of fastText
 * 0.9.2 do (dictionary.cc), without making strings: the hash of a subword grows by one code point
 * at a time.
 *
 * Odd but needed:
 *   - word hashes are kept as i32 and sign-extended to u64 in the mixing of n-grams,
 *   - a subword of one code point is left out at either end of "<word>",
 *   - the word "</s>" has no subwords and ends the line, also where the text has it as a word,
 *   - a pruned model drops all features that its map does not have.
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdbool.h>
#include <string.h>

static const char end_of_sentence[] = "</s>";

static bool push(const pluck_allocator *allocator, int32_t **items, size_t *n, size_t *capacity,
                 int32_t item)
{
    if (plk_grow(allocator, items, capacity, *n + 1, sizeof **items, NULL) != PLUCK_OK)
        return false;
    (*items)[(*n)++] = item;
    return true;
}

static bool push_feature(plk_fasttext_line *line, int32_t feature)
{
    return push(&line->allocator, &line->features, &line->n_features, &line->features_capacity,
                feature);
}

/* A bucket, which a pruned model maps or drops. */
static bool push_bucket(plk_fasttext_line *line, const plk_fasttext_file *file, int32_t bucket)
{
    if (file->n_pruned == 0 || bucket < 0)
        return true;
    if (file->n_pruned > 0) {
        bucket = plk_fasttext_prune_find(&file->pruned, (uint32_t)bucket);
        if (bucket < 0)
            return true;
    }
    return push_feature(line, (int32_t)(file->n_words + (uint32_t)bucket));
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0u) == 0x80u;
}

/* "<word>" in the memory of the line. */
static bool put_brackets(plk_fasttext_line *line, const char *word, size_t length)
{
    if (plk_grow(&line->allocator, &line->word, &line->word_capacity, length + 2, 1, NULL) !=
        PLUCK_OK)
        return false;
    line->word[0] = '<';
    memcpy(line->word + 1, word, length);
    line->word[length + 1] = '>';
    return true;
}

static bool push_subwords(plk_fasttext_line *line, const plk_fasttext_file *file, const char *word,
                          size_t length)
{
    const plk_fasttext_args *args = &file->args;
    size_t size = length + 2;
    if (!put_brackets(line, word, length))
        return false;
    const char *text = line->word;
    for (size_t i = 0; i < size; i++) {
        if (is_continuation(text[i]))
            continue;
        uint32_t hash = PLK_FASTTEXT_HASH_FIRST;
        size_t j = i;
        for (int32_t n = 1; j < size && n <= args->maxn; n++) {
            do
                hash = plk_fasttext_hash_byte(hash, text[j++]);
            while (j < size && is_continuation(text[j]));
            if (n < args->minn || (n == 1 && (i == 0 || j == size)))
                continue;
            if (!push_bucket(line, file, (int32_t)(hash % (uint32_t)args->bucket)))
                return false;
        }
    }
    return true;
}

static bool push_word_ngrams(plk_fasttext_line *line, const plk_fasttext_file *file)
{
    uint64_t bucket = (uint64_t)file->args.bucket;
    size_t longest = file->args.word_ngrams > 1 ? (size_t)file->args.word_ngrams : 1;
    for (size_t i = 0; i < line->n_hashes; i++) {
        uint64_t hash = (uint64_t)(int64_t)line->hashes[i];
        for (size_t j = i + 1; j < line->n_hashes && j - i < longest; j++) {
            hash = hash * 116049371 + (uint64_t)(int64_t)line->hashes[j];
            if (!push_bucket(line, file, (int32_t)(hash % bucket)))
                return false;
        }
    }
    return true;
}

static bool push_word(plk_fasttext_line *line, const plk_fasttext_file *file,
                      const char *label_prefix, const char *word, size_t length, bool is_end)
{
    uint32_t hash = plk_fasttext_hash(word, length);
    uint32_t id = plk_fasttext_find(file, word, length, hash);
    size_t prefix_length = strlen(label_prefix);
    if (id == UINT32_MAX ? length >= prefix_length && memcmp(word, label_prefix, prefix_length) == 0
                         : id >= file->n_words)
        return true;
    if (id != UINT32_MAX && !push_feature(line, (int32_t)id))
        return false;
    if (!is_end && file->args.maxn > 0 && !push_subwords(line, file, word, length))
        return false;
    return push(&line->allocator, &line->hashes, &line->n_hashes, &line->hashes_capacity,
                (int32_t)hash);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* The next word, or false at the end of the text. */
static bool next_word(const char *text, size_t size, size_t *at, const char **word, size_t *length)
{
    while (*at < size && is_space(text[*at])) {
        if (text[(*at)++] == '\n') {
            *word = end_of_sentence;
            *length = sizeof end_of_sentence - 1;
            return true;
        }
    }
    *word = text + *at;
    while (*at < size && !is_space(text[*at]))
        (*at)++;
    *length = (size_t)(text + *at - *word);
    /* A separator is used up with its word, except the newline. */
    if (*at < size && text[*at] != '\n' && *length > 0)
        (*at)++;
    return *length > 0;
}

pluck_status plk_fasttext_line_read(plk_fasttext_line *line, const plk_fasttext_file *file,
                                    const char *label_prefix, const char *text, size_t size_bytes,
                                    size_t *used_bytes, pluck_error *err)
{
    size_t at = 0, length = 0;
    const char *word = NULL;
    bool fits = true, is_end = false;
    line->n_features = 0;
    line->n_hashes = 0;
    while (fits && !is_end && next_word(text, size_bytes, &at, &word, &length)) {
        is_end = length == sizeof end_of_sentence - 1 && memcmp(word, end_of_sentence, length) == 0;
        fits = push_word(line, file, label_prefix, word, length, is_end);
    }
    if (fits)
        fits = push_word_ngrams(line, file);
    if (!fits)
        return plk_fail(err, PLUCK_ERR_NOMEM,
                        "out of memory: the features of a text of %zu bytes could not be kept",
                        size_bytes);
    *used_bytes = at;
    return PLUCK_OK;
}
