/* A failure stops the steps and stays in the subject: the measuring loop cannot report it. */
#include "support/sampler_subjects.h"

void bench_place_prepare(void *place, size_t repetition)
{
    bench_place *p = place;
    p->first_row = repetition * p->rows->rotation % p->rows->n_rows;
}

pluck_logits bench_place_row(const bench_place *place, size_t i)
{
    return bench_rows_at(place->rows, place->first_row + i % place->rows->rotation);
}

void bench_scan_run(void *scan, size_t n)
{
    bench_scan *s = scan;
    bool (*const kernel[])(const void *, size_t, float *) = {
        [PLUCK_F32] = s->kernels->scan_f32,
        [PLUCK_F16] = s->kernels->scan_f16,
        [PLUCK_BF16] = s->kernels->scan_bf16,
    };
    for (size_t i = 0; i < n; i++) {
        pluck_logits row = bench_place_row(s->place, i);
        if (kernel[row.dtype](row.data, s->place->rows->n_blocks, s->block_max))
            s->saw_nan = true;
    }
}

static void set_mask(const bench_stepper *stepper)
{
    size_t n_words = (stepper->place->rows->n_vocab + 31) / 32;
    if (stepper->mask)
        pluck_sampler_set_mask(stepper->sampler, stepper->mask, n_words, NULL);
}

void bench_stepper_sample(void *stepper, size_t n)
{
    bench_stepper *s = stepper;
    for (size_t i = 0; i < n && s->err.status == PLUCK_OK; i++) {
        pluck_token token = 0;
        set_mask(s);
        if (pluck_sampler_sample(s->sampler, bench_place_row(s->place, i), &token, &s->err) ==
            PLUCK_OK)
            pluck_sampler_accept(s->sampler, token, &s->err);
    }
}

void bench_stepper_draw(void *stepper, size_t n)
{
    bench_stepper *s = stepper;
    for (size_t i = 0; i < n && s->err.status == PLUCK_OK; i++) {
        set_mask(s);
        if (pluck_sampler_draw(s->sampler, bench_place_row(s->place, i), &s->last, &s->err) ==
            PLUCK_OK)
            pluck_sampler_accept(s->sampler, s->last.token, &s->err);
    }
}
