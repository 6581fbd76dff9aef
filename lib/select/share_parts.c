/*
 * A part: if the best tokens are asked for, the stored logit from which on they are counted, how
 * many there are from it on at most, how many are sent, the tokens and their logits; then what the
 * question needs. Parts come from other processes, so nothing in them is trusted: what is taken is
 * what an honest rank could have sent, and sums stay in the range where all that follows from them
 * is finite.
 */
#include "select/share.h"

#include "base/error.h"
#include "select/mass.h"

#include <float.h>
#include <math.h>

enum {
    BEST_BYTES = sizeof(float) + 2 * sizeof(uint32_t),
    ITEM_BYTES = sizeof(uint32_t) + sizeof(float),
    GROUP_TOKENS = PLK_MOMENTS_BLOCKS * PLK_BLOCK
};

static size_t best_bytes(uint32_t n)
{
    return BEST_BYTES + n * ITEM_BYTES;
}

static size_t moment_bytes(const plk_exact_sum *moment)
{
    plk_byte_writer measured = plk_byte_writer_make(NULL, 0);
    plk_exact_sum_put(moment, &measured);
    return measured.n_bytes;
}

static uint32_t n_groups(uint32_t n_tokens)
{
    return (n_tokens + GROUP_TOKENS - 1) / GROUP_TOKENS;
}

static uint32_t n_blocks(uint32_t n_tokens)
{
    return (n_tokens + PLK_BLOCK - 1) / PLK_BLOCK;
}

/* Of what the question needs; n_moment_bytes of the moment. */
static size_t answer_bytes(plk_question question, uint32_t n_tokens, size_t n_moment_bytes)
{
    switch (question) {
    case PLK_ASKS_MASS:
        return sizeof(plk_mass);
    case PLK_ASKS_REPORT:
        return sizeof(plk_mass) + sizeof(uint32_t);
    case PLK_ASKS_MOMENT:
        return sizeof(plk_mass) + sizeof(uint32_t) + n_moment_bytes;
    case PLK_ASKS_SPREAD:
        return n_groups(n_tokens) * sizeof(plk_spread);
    case PLK_ASKS_RACE:
    case PLK_ASKS_TOKEN:
        return 2 * sizeof(uint32_t) + sizeof(float) + sizeof(double);
    case PLK_ASKS_BLOCKS:
        return sizeof(plk_mass) + sizeof(uint32_t) +
               n_blocks(n_tokens) * (sizeof(double) + sizeof(float));
    case PLK_ASKS_NOTHING:
    case PLK_ASKS_BEST:
    case PLK_ASKS_ROW:
        break;
    }
    return 0;
}

size_t plk_share_part_bytes(const plk_share *share)
{
    bool has_moment = share->asks == PLK_ASKS_MOMENT;
    return (share->has_best ? best_bytes(share->own_best.n) : 0) +
           answer_bytes(share->asks, plk_share_n_tokens(share, share->rank),
                        has_moment ? moment_bytes(&share->own.moment) : 0);
}

size_t plk_share_most_bytes(const plk_share *share, uint32_t n_tokens)
{
    size_t n_moment_bytes = PLK_EXACT_MOST_BYTES;
    if (!share)
        return best_bytes(n_tokens) + answer_bytes(PLK_ASKS_SPREAD, n_tokens, n_moment_bytes) +
               answer_bytes(PLK_ASKS_MOMENT, n_tokens, n_moment_bytes);
    uint32_t n_best = n_tokens < share->n_most ? n_tokens : share->n_most;
    return (share->has_best ? best_bytes(n_best) : 0) +
           answer_bytes(share->asks, n_tokens, n_moment_bytes);
}

static void put(unsigned char **at, const void *bytes, size_t n_bytes)
{
    memcpy(*at, bytes, n_bytes);
    *at += n_bytes;
}

static void put_best(const plk_share *share, unsigned char **at)
{
    const plk_best_part *own = &share->own_best;
    put(at, &own->from, sizeof own->from);
    put(at, &own->n_reaching, sizeof own->n_reaching);
    put(at, &own->n, sizeof own->n);
    put(at, share->ids, own->n * sizeof *share->ids);
    put(at, share->values, own->n * sizeof *share->values);
}

static bool has_mass(plk_question question)
{
    return question == PLK_ASKS_MASS || question == PLK_ASKS_REPORT ||
           question == PLK_ASKS_MOMENT || question == PLK_ASKS_BLOCKS;
}

static bool has_count(plk_question question)
{
    return has_mass(question) && question != PLK_ASKS_MASS;
}

static bool has_token(plk_question question)
{
    return question == PLK_ASKS_RACE || question == PLK_ASKS_TOKEN;
}

void plk_share_put(const plk_share *share, unsigned char *bytes)
{
    const plk_answer *own = &share->own;
    uint32_t n_tokens = plk_share_n_tokens(share, share->rank);
    uint32_t first = share->first_token[share->rank];
    unsigned char *at = bytes;
    if (share->has_best)
        put_best(share, &at);
    if (has_mass(share->asks))
        put(&at, &own->mass, sizeof own->mass);
    if (has_count(share->asks))
        put(&at, &own->count, sizeof own->count);
    if (share->asks == PLK_ASKS_MOMENT) {
        size_t n_bytes = moment_bytes(&own->moment);
        plk_byte_writer out = plk_byte_writer_make(at, n_bytes);
        plk_exact_sum_put(&own->moment, &out);
    }
    if (share->asks == PLK_ASKS_SPREAD)
        put(&at, share->spreads + first / GROUP_TOKENS,
            n_groups(n_tokens) * sizeof *share->spreads);
    if (share->asks == PLK_ASKS_BLOCKS) {
        put(&at, share->block_sums + first / PLK_BLOCK,
            n_blocks(n_tokens) * sizeof *share->block_sums);
        put(&at, share->block_max + first / PLK_BLOCK,
            n_blocks(n_tokens) * sizeof *share->block_max);
    }
    if (has_token(share->asks)) {
        uint32_t is_there = own->arrival.is_there;
        put(&at, &is_there, sizeof is_there);
        put(&at, &own->arrival.token, sizeof own->arrival.token);
        put(&at, &own->stored, sizeof own->stored);
        put(&at, &own->arrival.l, sizeof own->arrival.l);
    }
}

/*
 * Taking.
 */

/* Passes over n_bytes, which become *out; false, and nothing, if there are not enough. */
static bool take(plk_byte_reader *in, void *out, size_t n_bytes)
{
    plk_byte_reader part = plk_take_part(in, n_bytes);
    if (in->is_short)
        return false;
    if (n_bytes > 0)
        memcpy(out, part.bytes, n_bytes);
    return true;
}

static bool is_logit(float x)
{
    return x >= -FLT_MAX && x <= FLT_MAX;
}

static bool is_of_slice(const plk_share *share, uint32_t rank, uint32_t token)
{
    return token >= share->first_token[rank] && token < share->first_token[rank + 1];
}

/* Whether the tokens are those of a part: ascending, of the slice, from the threshold on. Raises
 * *max, and *least becomes the key of the worst one. */
static bool check_items(const plk_share *share, uint32_t rank, const plk_best_part *part,
                        float *max, plk_key *least)
{
    const uint32_t *ids = share->ids + share->n;
    const float *values = share->values + share->n;
    uint32_t next = share->first_token[rank], end = share->first_token[rank + 1];
    float from = part->from > -FLT_MAX ? part->from : -FLT_MAX;
    *least = UINT64_MAX; /* no token has this key */
    for (uint32_t i = 0; i < part->n; i++) {
        float value = values[i];
        if (!(value >= from && value <= FLT_MAX) || ids[i] < next || ids[i] >= end)
            return false;
        plk_key key = plk_key_of(value, ids[i]);
        *least = key < *least ? key : *least;
        *max = value > *max ? value + 0.0f : *max;
        next = ids[i] + 1;
    }
    return true;
}

/* Appends the tokens of a rank to the known ones. */
static bool take_best(plk_share *share, uint32_t rank, plk_byte_reader *in)
{
    plk_best_part part;
    plk_key least;
    bool is_whole = take(in, &part.from, sizeof part.from) &&
                    take(in, &part.n_reaching, sizeof part.n_reaching) &&
                    take(in, &part.n, sizeof part.n);
    if (!is_whole || part.n > share->n_most || part.n > part.n_reaching ||
        part.n_reaching > plk_share_n_tokens(share, rank) || !(part.from <= FLT_MAX) ||
        !take(in, share->ids + share->n, part.n * sizeof *share->ids) ||
        !take(in, share->values + share->n, part.n * sizeof *share->values) ||
        !check_items(share, rank, &part, &share->max, &least))
        return false;
    share->from = part.from > share->from ? part.from : share->from;
    share->n_reaching = part.n_reaching > share->n_reaching ? part.n_reaching : share->n_reaching;
    if (share->n_most == 0)
        return true;
    /* Down to where it has every token of the slice. */
    plk_key complete = part.n == part.n_reaching ? plk_key_of(part.from, UINT32_MAX) : least;
    share->complete = complete > share->complete ? complete : share->complete;
    share->n += part.n;
    return true;
}

/* Blocks of 64 exponentials of up to 1. */
static bool take_mass(const plk_share *share, uint32_t rank, plk_byte_reader *in, plk_answer *sum)
{
    plk_mass mass;
    plk_mass most = ((plk_mass)plk_share_n_tokens(share, rank) + PLK_BLOCK) << 39;
    if (!take(in, &mass, sizeof mass) || mass > most)
        return false;
    sum->mass += mass;
    return true;
}

static bool take_count(const plk_share *share, uint32_t rank, plk_byte_reader *in, plk_answer *sum)
{
    uint32_t count;
    if (!take(in, &count, sizeof count) || count > plk_share_n_tokens(share, rank))
        return false;
    sum->count += count;
    return true;
}

static bool take_moment(plk_byte_reader *in, plk_answer *sum)
{
    plk_exact_sum moment;
    if (!plk_exact_sum_take(&moment, in))
        return false;
    double value = plk_exact_sum_value(&moment);
    plk_exact_sum_merge(&sum->moment, &moment);
    return value <= 0.0 && value >= -1e300;
}

static bool take_spreads(plk_share *share, uint32_t rank, plk_byte_reader *in, plk_answer *sum)
{
    const double most = 1e90;
    uint32_t n = n_groups(plk_share_n_tokens(share, rank));
    plk_spread *groups = share->spreads + share->first_token[rank] / GROUP_TOKENS;
    if (!take(in, groups, n * sizeof *groups))
        return false;
    for (uint32_t g = 0; g < n; g++) {
        const plk_spread *s = groups + g;
        if (!(s->n >= 0.0 && s->n <= GROUP_TOKENS && fabs(s->origin) <= (double)FLT_MAX &&
              fabs(s->sum) <= most && s->square >= 0.0 && s->square <= most))
            return false;
        plk_spread_join(&sum->spread, s);
    }
    return true;
}

static bool take_blocks(plk_share *share, uint32_t rank, plk_byte_reader *in)
{
    const double most = PLK_BLOCK + 1e-3;
    size_t first = share->first_token[rank] / PLK_BLOCK;
    size_t n = n_blocks(plk_share_n_tokens(share, rank));
    double *sums = share->block_sums + first;
    float *maxima = share->block_max + first;
    if (!take(in, sums, n * sizeof *sums) || !take(in, maxima, n * sizeof *maxima))
        return false;
    for (size_t b = 0; b < n; b++)
        if (!(sums[b] >= 0.0 && sums[b] <= most && maxima[b] <= share->max))
            return false;
    return true;
}

static bool take_arrival(const plk_share *share, uint32_t rank, plk_byte_reader *in,
                         plk_answer *first)
{
    const double most = 50.0; /* -ln of noise in [2^-59, 38] */
    uint32_t is_there;
    float stored;
    plk_arrival arrival = {.is_there = true};
    double scale = first->scale < 1e200 ? first->scale : 1e200;
    if (!take(in, &is_there, sizeof is_there) || !take(in, &arrival.token, sizeof arrival.token) ||
        !take(in, &stored, sizeof stored) || !take(in, &arrival.l, sizeof arrival.l) ||
        is_there > 1)
        return false;
    if (is_there == 0)
        return true;
    arrival.h = scale * (double)stored;
    if (!is_of_slice(share, rank, arrival.token) || !is_logit(stored) || !(fabs(arrival.l) <= most))
        return false;
    if (!first->arrival.is_there || plk_arrival_is_before(&arrival, &first->arrival)) {
        first->arrival = arrival;
        first->stored = stored;
    }
    return true;
}

/* Adds what a rank says to what the ranks before it said. */
static bool take_answer(plk_share *share, uint32_t rank, plk_byte_reader *in, plk_answer *all)
{
    switch (share->asks) {
    case PLK_ASKS_MASS:
        return take_mass(share, rank, in, all);
    case PLK_ASKS_REPORT:
        return take_mass(share, rank, in, all) && take_count(share, rank, in, all);
    case PLK_ASKS_MOMENT:
        return take_mass(share, rank, in, all) && take_count(share, rank, in, all) &&
               take_moment(in, all);
    case PLK_ASKS_SPREAD:
        return take_spreads(share, rank, in, all);
    case PLK_ASKS_BLOCKS:
        return take_mass(share, rank, in, all) && take_count(share, rank, in, all) &&
               take_blocks(share, rank, in);
    case PLK_ASKS_RACE:
    case PLK_ASKS_TOKEN:
        return take_arrival(share, rank, in, all);
    case PLK_ASKS_NOTHING:
    case PLK_ASKS_BEST:
    case PLK_ASKS_ROW:
        break;
    }
    return true;
}

/* Whether an honest row with a token can have this answer. */
static bool is_possible(const plk_answer *all)
{
    bool is_of_block = all->arrival.is_there && all->arrival.token / PLK_BLOCK == all->block;
    return (!has_mass(all->question) || all->mass >= (plk_mass)1 << 38) &&
           (!has_count(all->question) || all->count > 0) &&
           (all->question != PLK_ASKS_RACE || all->arrival.is_there) &&
           (all->question != PLK_ASKS_TOKEN || is_of_block);
}

pluck_status plk_share_take(plk_share *share, const plk_byte_reader *parts, pluck_error *err)
{
    plk_answer all = {.question = share->asks,
                      .scale = share->own.scale,
                      .block = share->own.block,
                      .fraction = share->own.fraction};
    if (share->has_best) {
        share->n_reaching = 0;
        share->from = -INFINITY;
    }
    if (share->has_best && share->n_most > 0) {
        share->n = 0;
        share->n_known_most = share->n_most;
        share->complete = 0;
    }
    for (uint32_t r = 0; r < share->n_ranks; r++) {
        plk_byte_reader in = parts[r];
        if ((share->has_best && !take_best(share, r, &in)) || !take_answer(share, r, &in, &all) ||
            !plk_is_read_up(&in))
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "record of rank %u: its content is not that of its slice", r);
    }
    if (share->max > -INFINITY && !is_possible(&all))
        return plk_fail(err, PLUCK_ERR_FORMAT, "records: their sums are not those of a row");
    share->is_known |= share->has_best;
    if (share->asks != PLK_ASKS_BEST) {
        share->n_answers -= share->n_answers == PLK_MAX_ANSWERS;
        share->answers[share->n_answers++] = all;
    }
    share->asks = PLK_ASKS_NOTHING;
    return PLUCK_OK;
}
