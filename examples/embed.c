/*
 * An engine's loop around pluck: create, give the prompt, generate, start again. toy_model stands
 * for the model; after token t it expects 3 t + 1 and, less and less, the tokens above.
 *
 *     cc embed.c $(pkg-config --cflags --libs pluck) -o embed && ./embed [CONFIGURATION]
 */
#include <pluck/pluck.h>

#include <stdio.h>
#include <string.h>

#define N_VOCAB 64u

static void toy_model(pluck_token last, float *logits)
{
    for (uint32_t i = 0; i < N_VOCAB; i++)
        logits[i] = -0.5f * (float)((i + 3 * N_VOCAB - 3 * (uint32_t)last - 1) % N_VOCAB);
}

int main(int argc, char **argv)
{
    const char *usual = "{\"seed\": 42, \"temperature\": 0.8, \"top_p\": 0.95, \"min_p\": 0.05}";
    const char *json = argc > 1 ? argv[1] : usual;
    const pluck_token prompt[] = {1};
    size_t n_prompt = sizeof prompt / sizeof *prompt;
    float values[N_VOCAB];
    pluck_logits logits = {values, PLUCK_F32, N_VOCAB};
    pluck_sampler *sampler = NULL;
    pluck_error err;
    pluck_status status = pluck_sampler_from_json(&sampler, json, strlen(json), N_VOCAB, &err);
    for (int sequence = 0; sequence < 2 && status == PLUCK_OK; sequence++) {
        pluck_token token = prompt[n_prompt - 1];
        status = pluck_sampler_prompt(sampler, prompt, n_prompt, &err);
        for (int i = 0; i < 12 && status == PLUCK_OK; i++) {
            toy_model(token, values);
            status = pluck_sampler_next(sampler, logits, &token, &err);
            if (status == PLUCK_OK)
                printf("%d%c", (int)token, i < 11 ? ' ' : '\n');
        }
        if (status == PLUCK_OK)
            status = pluck_sampler_reset(sampler, &err); /* the second line repeats the first */
    }
    if (status != PLUCK_OK)
        fprintf(stderr, "embed: %s: %s\n", pluck_status_name(status), err.message);
    pluck_sampler_destroy(&sampler);
    return status == PLUCK_OK ? 0 : 1;
}
