/*
 * Why: a configuration that people have must mean here what it means where it comes from: the same
 * stages in that engine's order, with its defaults, and not one key dropped without a word.
 */
#include "support/allocator.h"
#include "support/config_parts.h"
#include "support/samplers.h"

#include <pluck/pluck.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct import_case {
    pluck_import_format kind;
    const char *json;
    const char *expected; /* explicit form: stages in order, as they run */
    const char *fates;    /* "key=m" and so on, in the order of the report, one space between */
} import_case;

static const import_case cases[] = {
    /* Hugging Face: as Llama 3.1 ships it, and with more. */
    {PLUCK_IMPORT_HUGGINGFACE,
     "{\"bos_token_id\": 128000, \"do_sample\": true, \"eos_token_id\": [128001, 128008, 128009],\n"
     " \"temperature\": 0.6, \"top_p\": 0.9, \"transformers_version\": \"4.42.3\"}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"temperature\", \"t\": 0.6},"
     " {\"type\": \"top_k\", \"k\": 50}, {\"type\": \"top_p\", \"p\": 0.9}]}",
     "bos_token_id=i do_sample=m eos_token_id=i temperature=m top_p=m transformers_version=i "
     "top_k=m seed=m"},
    {PLUCK_IMPORT_HUGGINGFACE,
     "{\"do_sample\": true, \"top_k\": 20, \"repetition_penalty\": 1.05, \"top_p\": 0.8,"
     " \"temperature\": 0.7, \"pad_token_id\": 5, \"eos_token_id\": [7, 5], \"min_new_tokens\": 3,"
     " \"no_repeat_ngram_size\": 4, \"bad_words_ids\": [[1, 2], [3]], \"suppress_tokens\": [9, 8],"
     " \"sequence_bias\": [[[4], -1.5], [[1, 2], 3]], \"epsilon_cutoff\": 1e-4, \"min_p\": 0.01,"
     " \"eta_cutoff\": 2e-4, \"typical_p\": 0.95, \"num_beams\": 1, \"guidance_scale\": 1.5,"
     " \"exponential_decay_length_penalty\": [50, 1.02], \"remove_invalid_values\": true}",
     "{\"seed\": \"random\", \"stages\": ["
     "{\"type\": \"logit_bias\", \"bias\": {\"4\": -1.5, \"8\": false, \"9\": false}},"
     "{\"type\": \"penalties\", \"last_n\": -1, \"repeat\": 1.05},"
     "{\"type\": \"no_repeat_ngram\", \"n\": 4},"
     "{\"type\": \"bad_words\", \"sequences\": [[1, 2], [3]]},"
     "{\"type\": \"min_tokens\", \"n\": 3, \"tokens\": [5, 7]},"
     "{\"type\": \"exp_decay_length\", \"start\": 50, \"factor\": 1.02, \"tokens\": [5, 7]},"
     "{\"type\": \"temperature\", \"t\": 0.7}, {\"type\": \"top_k\", \"k\": 20},"
     "{\"type\": \"top_p\", \"p\": 0.8}, {\"type\": \"min_p\", \"p\": 0.01},"
     "{\"type\": \"typical\", \"p\": 0.95}, {\"type\": \"epsilon_cutoff\", \"epsilon\": 1e-4},"
     "{\"type\": \"eta_cutoff\", \"epsilon\": 2e-4}]}",
     "do_sample=m top_k=m repetition_penalty=m top_p=m temperature=m pad_token_id=i eos_token_id=i "
     "min_new_tokens=m no_repeat_ngram_size=m bad_words_ids=m suppress_tokens=m sequence_bias=m "
     "sequence_bias=r epsilon_cutoff=m min_p=m eta_cutoff=m typical_p=m num_beams=i "
     "guidance_scale=r exponential_decay_length_penalty=m remove_invalid_values=r seed=m"},
    {PLUCK_IMPORT_HUGGINGFACE,
     "{\"temperature\": 0.7, \"top_k\": null, \"num_beams\": 4, \"min_new_tokens\": 2,"
     " \"exponential_decay_length_penalty\": [5, 1.1], \"eos_token_id\": null, \"topp\": 1}",
     "{\"stages\": [], \"draw\": \"greedy\"}",
     "temperature=i top_k=i num_beams=r min_new_tokens=r exponential_decay_length_penalty=r "
     "eos_token_id=i topp=r do_sample=m"},
    /* llama.cpp */
    {PLUCK_IMPORT_LLAMA_CPP, "{\"prompt\": \"Hi\", \"n_predict\": 16}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"top_k\", \"k\": 40},"
     "{\"type\": \"top_p\", \"p\": 0.95}, {\"type\": \"min_p\", \"p\": 0.05},"
     "{\"type\": \"temperature\", \"t\": 0.8}]}",
     "prompt=i n_predict=i temperature=m top_k=m top_p=m min_p=m seed=m"},
    {PLUCK_IMPORT_LLAMA_CPP,
     "{\"temperature\": 0.5, \"top_k\": 0, \"top_p\": 0.9, \"min_p\": 0, \"typical_p\": 0.8,"
     " \"repeat_penalty\": 1.1, \"repeat_last_n\": 32, \"presence_penalty\": 0.25, \"seed\": 12,"
     " \"dry_multiplier\": 0.8, \"dry_base\": 1.5, \"dry_allowed_length\": 3,"
     " \"dry_sequence_breakers\": [\"x\"], \"xtc_probability\": 0.5, \"xtc_threshold\": 0.2,"
     " \"top_n_sigma\": -1, \"min_keep\": 0, \"logit_bias\": [[7, -2], [9, false]],"
     " \"cache_prompt\": true, \"grammar\": \"\"}",
     "{\"seed\": 12, \"stages\": ["
     "{\"type\": \"logit_bias\", \"bias\": {\"7\": -2, \"9\": false}},"
     "{\"type\": \"penalties\", \"last_n\": 32, \"repeat\": 1.1, \"presence\": 0.25},"
     "{\"type\": \"dry\", \"multiplier\": 0.8, \"base\": 1.5, \"allowed_length\": 3,"
     " \"last_n\": 64},"
     "{\"type\": \"typical\", \"p\": 0.8}, {\"type\": \"top_p\", \"p\": 0.9},"
     "{\"type\": \"xtc\", \"probability\": 0.5, \"threshold\": 0.2},"
     "{\"type\": \"temperature\", \"t\": 0.5}]}",
     "temperature=m top_k=m top_p=m min_p=m typical_p=m repeat_penalty=m repeat_last_n=m "
     "presence_penalty=m seed=m dry_multiplier=m dry_base=m dry_allowed_length=m "
     "dry_sequence_breakers=r xtc_probability=m xtc_threshold=m top_n_sigma=m min_keep=i "
     "logit_bias=m cache_prompt=i grammar=i dry_penalty_last_n=m"},
    {PLUCK_IMPORT_LLAMA_CPP,
     "{\"samplers\": [\"temperature\", \"top_p\", \"infill\"], \"temperature\": -1, \"min_p\": 0.2,"
     " \"json_schema\": {\"type\": \"object\"}, \"logit_bias\": [[\" the\", 1]]}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"temperature\", \"t\": 0},"
     "{\"type\": \"top_p\", \"p\": 0.95}]}",
     "samplers=r samplers=m temperature=m min_p=i json_schema=r logit_bias=r top_p=m seed=m"},
    /* as its web page sends it */
    {PLUCK_IMPORT_LLAMA_CPP,
     "{\"messages\": [], \"stream\": true, \"reasoning_format\": \"none\", \"temperature\": 0.8,"
     " \"max_tokens\": -1, \"dynatemp_range\": 0.5, \"dynatemp_exponent\": 1, \"top_k\": 40,"
     " \"top_p\": 0.95, \"min_p\": 0.05, \"xtc_probability\": 0, \"xtc_threshold\": 0.1,"
     " \"typical_p\": 1, \"repeat_last_n\": 64, \"repeat_penalty\": 1, \"presence_penalty\": 0,"
     " \"frequency_penalty\": 0, \"dry_multiplier\": 0, \"dry_base\": 1.75,"
     " \"dry_allowed_length\": 2, \"dry_penalty_last_n\": -1, \"timings_per_token\": true,"
     " \"samplers\": [\"top_k\", \"typ_p\", \"top_p\", \"min_p\", \"temperature\"]}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"top_k\", \"k\": 40},"
     "{\"type\": \"top_p\", \"p\": 0.95}, {\"type\": \"min_p\", \"p\": 0.05},"
     "{\"type\": \"dynamic_temperature\", \"t\": 0.8, \"range\": 0.5}]}",
     "messages=i stream=i reasoning_format=i temperature=m max_tokens=i dynatemp_range=m "
     "dynatemp_exponent=m top_k=m top_p=m min_p=m xtc_probability=i xtc_threshold=i typical_p=m "
     "repeat_last_n=i repeat_penalty=i presence_penalty=i frequency_penalty=i dry_multiplier=i "
     "dry_base=i dry_allowed_length=i dry_penalty_last_n=i timings_per_token=i samplers=m seed=m"},
    {PLUCK_IMPORT_LLAMA_CPP,
     "{\"samplers\": \"tpa\", \"adaptive_target\": 0.4, \"temperature\": 1.2, \"top_p\": 0.8}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"temperature\", \"t\": 1.2},"
     "{\"type\": \"top_p\", \"p\": 0.8}], \"draw\": {\"type\": \"adaptive_p\", \"target\": 0.4}}",
     "samplers=m adaptive_target=m temperature=m top_p=m seed=m"},
    {PLUCK_IMPORT_LLAMA_CPP,
     "{\"mirostat\": 1, \"mirostat_tau\": 3, \"mirostat_eta\": 0.2, \"top_k\": 5,"
     " \"dry_multiplier\": 1}",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"temperature\", \"t\": 0.8}],"
     " \"draw\": {\"type\": \"mirostat\", \"tau\": 3, \"eta\": 0.2}}",
     "mirostat=m mirostat_tau=m mirostat_eta=m top_k=i dry_multiplier=i temperature=m seed=m"},
    /* vLLM */
    {PLUCK_IMPORT_VLLM,
     "{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}],"
     " \"temperature\": 0.7, \"top_p\": 0.8, \"top_k\": 20, \"min_p\": 0.05, \"seed\": 5,"
     " \"repetition_penalty\": 1.05, \"presence_penalty\": 0.5, \"min_tokens\": 3,"
     " \"stop_token_ids\": [2, 3], \"logit_bias\": {\"7\": -100}, \"bad_words\": [\"x\"],"
     " \"skip_special_tokens\": false, \"guided_json\": {\"type\": \"object\"}}",
     "{\"seed\": 5, \"stages\": [{\"type\": \"min_tokens\", \"n\": 3, \"tokens\": [2, 3]},"
     "{\"type\": \"logit_bias\", \"bias\": {\"7\": -100}},"
     "{\"type\": \"penalties\", \"last_n\": -1, \"repeat\": 1.05},"
     "{\"type\": \"penalties\", \"last_n\": -1, \"presence\": 0.5, \"ignore_prompt\": true},"
     "{\"type\": \"temperature\", \"t\": 0.7}, {\"type\": \"min_p\", \"p\": 0.05},"
     "{\"type\": \"top_k\", \"k\": 20}, {\"type\": \"top_p\", \"p\": 0.8}]}",
     "model=i messages=i temperature=m top_p=m top_k=m min_p=m seed=m repetition_penalty=m "
     "presence_penalty=m min_tokens=m min_tokens=r stop_token_ids=i logit_bias=m bad_words=r "
     "skip_special_tokens=i guided_json=r"},
    {PLUCK_IMPORT_VLLM, "{\"top_k\": -1, \"min_tokens\": 2, \"use_beam_search\": false, \"n\": 2}",
     "{\"seed\": \"random\", \"stages\": []}", "top_k=m min_tokens=r use_beam_search=i n=i seed=m"},
    /* OpenAI */
    {PLUCK_IMPORT_OPENAI,
     "{\"model\": \"m\", \"messages\": [], \"temperature\": 0.2, \"top_p\": 0.9, \"n\": 1,"
     " \"frequency_penalty\": 0.5, \"logit_bias\": {\"50256\": -100}, \"max_tokens\": 10,"
     " \"response_format\": {\"type\": \"json_object\"}, \"tool_choice\": \"auto\", \"top_k\": 4}",
     "{\"seed\": \"random\", \"stages\": ["
     "{\"type\": \"logit_bias\", \"bias\": {\"50256\": -100}},"
     "{\"type\": \"penalties\", \"last_n\": -1, \"frequency\": 0.5, \"ignore_prompt\": true},"
     "{\"type\": \"temperature\", \"t\": 0.2}, {\"type\": \"top_p\", \"p\": 0.9}]}",
     "model=i messages=i temperature=m top_p=m n=i frequency_penalty=m logit_bias=m max_tokens=i "
     "response_format=r tool_choice=i top_k=r seed=m"},
    /* text-generation-webui: a preset as YAML, and a request */
    {PLUCK_IMPORT_TEXT_GENERATION_WEBUI,
     "# a comment\ntemperature: 1.2\nmin_p: .05\nxtc_probability: 0\nrepetition_penalty: 1.1\n"
     "frequency_penalty: 0.2\nseed: 7\nsampler_priority: |-\n  min_p\n  temperature\n",
     "{\"seed\": 7, \"stages\": [{\"type\": \"penalties\", \"last_n\": 1024, \"repeat\": 1.1,"
     " \"frequency\": 0.2}, {\"type\": \"min_p\", \"p\": 0.05},"
     " {\"type\": \"temperature\", \"t\": 1.2}]}",
     "temperature=m min_p=m xtc_probability=m repetition_penalty=m frequency_penalty=m seed=m "
     "sampler_priority=m repetition_penalty_range=m"},
    {PLUCK_IMPORT_TEXT_GENERATION_WEBUI,
     "{\"messages\": [], \"mode\": \"chat\", \"temperature\": 1.5, \"dynamic_temperature\": true,"
     " \"dynatemp_low\": 0.5, \"dynatemp_high\": 1.5, \"mirostat_mode\": 2, \"top_k\": 0,"
     " \"sampler_priority\": [\"temperature\", \"mirostat\", \"top_p\"], \"top_p\": 0.5,"
     " \"custom_token_bans\": \"3, 4\"}",
     "{\"seed\": \"random\", \"stages\": ["
     "{\"type\": \"logit_bias\", \"bias\": {\"3\": false, \"4\": false}},"
     "{\"type\": \"dynamic_temperature\", \"t\": 1, \"range\": 0.5},"
     "{\"type\": \"temperature\", \"t\": 1.5}], \"draw\": \"mirostat_v2\"}",
     "messages=i mode=i temperature=m dynamic_temperature=m dynatemp_low=m dynatemp_high=m "
     "mirostat_mode=m top_k=m sampler_priority=m top_p=i custom_token_bans=m seed=m"},
    /* KoboldCpp */
    {PLUCK_IMPORT_KOBOLDCPP,
     "{\"prompt\": \"Hi\", \"max_context_length\": 2048, \"rep_pen\": 1.1, \"top_p\": 0.92,"
     " \"top_k\": 100, \"temperature\": \"0.7\", \"rep_pen_range\": 256, \"sampler_seed\": 9,"
     " \"min_p\": 0.1, \"xtc_probability\": 0.5, \"sampler_order\": [0, 5, 2, 6]}",
     "{\"seed\": 9, \"stages\": [{\"type\": \"top_k\", \"k\": 3000},"
     " {\"type\": \"top_k\", \"k\": 100}, {\"type\": \"temperature\", \"t\": 0.7},"
     " {\"type\": \"top_p\", \"p\": 0.92}, {\"type\": \"min_p\", \"p\": 0.1},"
     " {\"type\": \"penalties\", \"last_n\": 256, \"repeat\": 1.1},"
     " {\"type\": \"xtc\", \"probability\": 0.5, \"threshold\": 0.2}]}",
     "prompt=i max_context_length=i rep_pen=m top_p=m top_k=m temperature=m rep_pen_range=m "
     "sampler_seed=m min_p=m xtc_probability=m sampler_order=m xtc_threshold=m"},
    /* Ollama */
    {PLUCK_IMPORT_OLLAMA,
     "{\"model\": \"m\", \"prompt\": \"Hi\", \"options\": {\"temperature\": 0, \"num_ctx\": 4096,"
     " \"repeat_last_n\": -1, \"repeat_penalty\": 1.1, \"seed\": 101}}",
     "{\"seed\": 101, \"stages\": [{\"type\": \"penalties\", \"last_n\": -1, \"repeat\": 1.1},"
     " {\"type\": \"top_k\", \"k\": 40}, {\"type\": \"top_p\", \"p\": 0.9},"
     " {\"type\": \"temperature\", \"t\": 0}]}",
     "model=i prompt=i options.temperature=m options.num_ctx=i options.repeat_last_n=m "
     "options.repeat_penalty=m options.seed=m top_k=m top_p=m"},
    {PLUCK_IMPORT_OLLAMA,
     "FROM llama3.2\n# a comment\nPARAMETER temperature 1\nPARAMETER stop \"<|end|>\"\n"
     "SYSTEM \"\"\"\nPARAMETER top_k 3\n\"\"\"\nPARAMETER top_p .5\nPARAMETER temperature 0.6\n",
     "{\"seed\": \"random\", \"stages\": [{\"type\": \"top_k\", \"k\": 40},"
     " {\"type\": \"top_p\", \"p\": 0.5}, {\"type\": \"temperature\", \"t\": 0.6}]}",
     "model=i stop=i system=i top_p=m temperature=m top_k=m seed=m"},
    /* ExLlamaV3 */
    {PLUCK_IMPORT_EXLLAMAV3,
     "{\"rep_p\": 1.05, \"pres_p\": 0.1, \"rep_sustain_range\": 1024, \"temperature\": 0.9,"
     " \"min_p\": 0.05, \"top_k\": 50, \"temp_last\": true, \"adaptive_target\": 0.6, \"seed\": 5}",
     "{\"seed\": 5, \"stages\": [{\"type\": \"penalties\", \"last_n\": 1024, \"repeat\": 1.05,"
     " \"presence\": 0.1}, {\"type\": \"min_p\", \"p\": 0.05}, {\"type\": \"top_k\", \"k\": 50},"
     " {\"type\": \"temperature\", \"t\": 0.9}],"
     " \"draw\": {\"type\": \"adaptive_p\", \"target\": 0.6}}",
     "rep_p=m pres_p=m rep_sustain_range=m temperature=m min_p=m top_k=m temp_last=m "
     "adaptive_target=m seed=m"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct told {
    char text[2048];
    size_t n;
} told;

static void note_fate(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    told *t = user;
    assert_non_null(note);
    assert_true(fate != PLUCK_IMPORT_REFUSED || note[0] != '\0');
    t->n += (size_t)snprintf(t->text + t->n, sizeof t->text - t->n, "%s%s=%c", t->n ? " " : "", key,
                             pluck_import_fate_name(fate)[0]);
    assert_true(t->n < sizeof t->text);
}

static pluck_config *import_of(const import_case *c, told *t)
{
    pluck_config *config = NULL;
    pluck_error err;
    *t = (told){.n = 0};
    if (pluck_config_import(&config, c->kind, c->json, strlen(c->json), note_fate, t, NULL, &err) !=
        PLUCK_OK)
        fail_msg("%s: %s", c->json, err.message);
    return config;
}

/* The stages that do something, with all parameters, as the explicit form writes them. */
static void list_stages(const pluck_config *config, char *text, size_t capacity)
{
    size_t n = 0;
    pluck_config_info info = config_info(config);
    n += (size_t)snprintf(text, capacity, "seed %llu %d nan %d", (unsigned long long)info.seed,
                          info.seed_is_random, (int)info.on_nan);
    for (size_t i = 0; i < config_n_stages(config); i++) {
        const pluck_stage *stage = config_stage(config, i).stage;
        const char *params = config_stage(config, i).params;
        if (config_stage(config, i).is_neutral)
            continue;
        n += (size_t)snprintf(text + n, capacity - n, "\n%s", stage->name);
        for (size_t p = 0; p < stage->n_params; p++) {
            const void *at = params + stage->params[p].offset_bytes;
            if (stage->params[p].type == PLUCK_PARAM_NUMBER)
                n += (size_t)snprintf(text + n, capacity - n, " %.17g", *(const double *)at);
            else if (stage->params[p].type == PLUCK_PARAM_INTEGER)
                n += (size_t)snprintf(text + n, capacity - n, " %lld",
                                      (long long)*(const int64_t *)at);
            else if (stage->params[p].type == PLUCK_PARAM_BIAS_MAP) {
                const pluck_bias_map *map = at;
                for (size_t b = 0; b < map->n; b++)
                    n += (size_t)snprintf(text + n, capacity - n, " %u:%g", map->items[b].token,
                                          map->items[b].bias);
            } else if (stage->params[p].type == PLUCK_PARAM_TOKENS) {
                const pluck_token_set *set = at;
                for (size_t b = 0; b < set->n; b++)
                    n += (size_t)snprintf(text + n, capacity - n, " %u", set->items[b]);
            }
        }
    }
    assert_true(n < capacity);
}

static void files_of_others_run_the_same_stages_in_their_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        static char left[4096], right[4096];
        told t;
        pluck_config *config = import_of(&cases[i], &t);
        pluck_config *expected = test_config(cases[i].expected);
        list_stages(config, left, sizeof left);
        list_stages(expected, right, sizeof right);
        assert_string_equal(right, left);
        pluck_config_destroy(&config);
        pluck_config_destroy(&expected);
    }
}

static void every_key_is_accounted_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        told t;
        pluck_config *config = import_of(&cases[i], &t);
        assert_string_equal(cases[i].fates, t.text);
        pluck_config_destroy(&config);
    }
}

static void what_is_imported_is_written_and_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        static char text[8192];
        size_t n = 0;
        told t;
        pluck_config *config = import_of(&cases[i], &t);
        assert_int_equal(PLUCK_OK, pluck_config_to_json(config, text, sizeof text, &n, NULL));
        pluck_config *again = test_config(text);
        assert_true(pluck_config_equal(config, again));
        pluck_config_destroy(&config);
        pluck_config_destroy(&again);
    }
}

static void kinds_are_told_by_their_keys(void **state)
{
    (void)state;
    pluck_import_format kind = PLUCK_IMPORT_OPENAI;
    pluck_error err;
    for (size_t i = 0; i < N_CASES; i++) {
        const char *json = cases[i].json;
        if (cases[i].kind == PLUCK_IMPORT_OPENAI) /* it has a key of vLLM's */
            continue;
        if (pluck_import_guess(json, strlen(json), &kind, &err) != PLUCK_OK)
            fail_msg("%s: %s", json, err.message);
        assert_int_equal(cases[i].kind, kind);
    }
    static const char pure[] =
        "{\"temperature\": 1, \"messages\": [], \"max_completion_tokens\": 9}";
    assert_int_equal(PLUCK_OK, pluck_import_guess(pure, sizeof pure - 1, &kind, &err));
    assert_int_equal(PLUCK_IMPORT_OPENAI, kind);
    static const char both[] = "{\"temperature\": 1}", none[] = "{\"x\": 1}", list[] = "[1]";
    assert_int_equal(PLUCK_ERR_CONFIG, pluck_import_guess(both, sizeof both - 1, &kind, &err));
    assert_non_null(strstr(err.message, "several engines have these keys); use --from"));
    assert_int_equal(PLUCK_ERR_CONFIG, pluck_import_guess(none, sizeof none - 1, &kind, &err));
    assert_non_null(strstr(err.message, "no known key"));
    assert_int_equal(PLUCK_ERR_CONFIG, pluck_import_guess(list, sizeof list - 1, &kind, &err));
    for (int i = 0; i < 8; i++) {
        const char *name = pluck_import_format_name((pluck_import_format)i);
        assert_int_equal(PLUCK_OK, pluck_import_format_from_name(name, &kind, NULL));
        assert_int_equal(i, kind);
    }
    assert_null(pluck_import_format_name((pluck_import_format)8));
    assert_int_equal(PLUCK_ERR_INVALID, pluck_import_format_from_name("hf", &kind, &err));
}

static void keep_refusal(void *user, const char *key, pluck_import_fate fate, const char *note)
{
    (void)key;
    pluck_error *kept = user;
    if (fate == PLUCK_IMPORT_REFUSED)
        snprintf(kept->message, sizeof kept->message, "%s", note);
}

static void wrong_values_are_refused_where_they_stand(void **state)
{
    (void)state;
    static const struct {
        pluck_import_format kind;
        const char *json, *message;
    } wrong[] =
        {
            {PLUCK_IMPORT_VLLM, "[]", "a configuration is an object, not an array"},
            {PLUCK_IMPORT_VLLM, "{\"top_p\": 1, \"top_p\": 1}", "duplicate key"},
            {PLUCK_IMPORT_VLLM, "{\"top_p\": 1", "line 1"},
            {PLUCK_IMPORT_VLLM, "", "line 1"},
            {PLUCK_IMPORT_LLAMA_CPP, "{\"samplers\": [3]}",
             "$.samplers[0]: expected the name of a sampler"},
            {PLUCK_IMPORT_OLLAMA, "FROM x\nTOP_K 40\n", "line 2: expected a command"},
            {PLUCK_IMPORT_OLLAMA, "FROM x\n\nPARAMETER\n", "line 3: PARAMETER needs"},
            {PLUCK_IMPORT_OLLAMA, "FROM x\nSYSTEM \"\"\"\nx\n",
             "the quoted value does not end; its closing quote is missing"},
            {PLUCK_IMPORT_TEXT_GENERATION_WEBUI, "top_k: 3\ntop_p: {a: 1}\n",
             "line 2: unsupported YAML"},
            {PLUCK_IMPORT_TEXT_GENERATION_WEBUI, "top_k: 3\nx\n", "expected a name and a value"},
            {PLUCK_IMPORT_TEXT_GENERATION_WEBUI, "top_k:\n  a: 3\n",
             "line 2: a setting inside another"},
            {PLUCK_IMPORT_TEXT_GENERATION_WEBUI, "top_k: 'x\n",
             "the quoted value does not end; its closing quote is missing"},
        },
      of_wrong_type[] = {
          {PLUCK_IMPORT_OPENAI, "{\"top_p\":\n \"1\"}",
           "line 2, column 2: $.top_p: expected a number, not"},
          {PLUCK_IMPORT_VLLM, "{\"temperature\": \"hot\"}", "$.temperature: "},
          {PLUCK_IMPORT_VLLM, "{\"logit_bias\": [1]}", "$.logit_bias: expected an object"},
          {PLUCK_IMPORT_VLLM, "{\"logit_bias\": {\"1\": \"x\"}}",
           ": expected a number, not a string"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"do_sample\": 1}", "$.do_sample: expected true or false"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"suppress_tokens\": [1, \"a\"]}", "$.suppress_tokens[1]: "},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"bad_words_ids\": [[1], []]}", "$.bad_words_ids[1]: a seq"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"bad_words_ids\": [[-1]]}",
           "$.bad_words_ids[0][0]: expected a token"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"sequence_bias\": [[1, 2]]}",
           "$.sequence_bias[0]: expected a pair"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"sequence_bias\": [[[], 2]]}",
           "$.sequence_bias[0]: expected a pair"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"exponential_decay_length_penalty\": [1]}", "a start and"},
          {PLUCK_IMPORT_HUGGINGFACE, "{\"min_new_tokens\": \"1\"}",
           "$.min_new_tokens: expected a number"},
          {PLUCK_IMPORT_LLAMA_CPP, "{\"mirostat\": true}", "$.mirostat: "},
          {PLUCK_IMPORT_LLAMA_CPP, "{\"seed\": 1.5}", "$.seed: "},
          {PLUCK_IMPORT_OLLAMA, "FROM x\n\nPARAMETER top_k many\n", "line 3, column"},
      };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pluck_config *config = (pluck_config *)&config;
        pluck_error err = {.status = PLUCK_OK};
        assert_int_equal(PLUCK_ERR_CONFIG,
                         pluck_config_import(&config, wrong[i].kind, wrong[i].json,
                                             strlen(wrong[i].json), NULL, NULL, NULL, &err));
        assert_null(config);
        if (!strstr(err.message, wrong[i].message))
            fail_msg("%s: no \"%s\" in \"%s\"", wrong[i].json, wrong[i].message, err.message);
    }
    for (size_t i = 0; i < sizeof of_wrong_type / sizeof *of_wrong_type; i++) {
        const char *json = of_wrong_type[i].json, *message = of_wrong_type[i].message;
        pluck_config *config = NULL;
        pluck_error note = {.status = PLUCK_OK}, err = {.status = PLUCK_OK};
        assert_int_equal(PLUCK_OK,
                         pluck_config_import(&config, of_wrong_type[i].kind, json, strlen(json),
                                             keep_refusal, &note, NULL, &err));
        assert_non_null(config);
        assert_int_equal(PLUCK_OK, err.status);
        pluck_config_destroy(&config);
        if (!strstr(note.message, message))
            fail_msg("%s: no \"%s\" in \"%s\"", json, message, note.message);
    }
    pluck_config *config = NULL;
    assert_int_equal(PLUCK_ERR_INVALID, pluck_config_import(&config, (pluck_import_format)8, "{}",
                                                            2, NULL, NULL, NULL, NULL));
    assert_int_equal(PLUCK_ERR_INVALID,
                     pluck_config_import(NULL, PLUCK_IMPORT_VLLM, "{}", 2, NULL, NULL, NULL, NULL));
}

/* A preset in YAML becomes JSON before it is read. */
static void bytes_that_json_cannot_have_raw_do_not_reach_it(void **state)
{
    (void)state;
    static const char escape[] = "top_k: 3\npreset: \"\\\0\"\n";
    static const char block[] = "preset: |\n  a\x01\"b\ntop_k: 3\n";
    pluck_config *config = NULL;
    pluck_error err = {.status = PLUCK_OK}, note = {.status = PLUCK_OK};
    assert_int_equal(PLUCK_ERR_CONFIG,
                     pluck_config_import(&config, PLUCK_IMPORT_TEXT_GENERATION_WEBUI, escape,
                                         sizeof escape - 1, NULL, NULL, NULL, &err));
    assert_string_equal("line 2: unsupported escape in a quoted value", err.message);
    assert_int_equal(PLUCK_OK,
                     pluck_config_import(&config, PLUCK_IMPORT_TEXT_GENERATION_WEBUI, block,
                                         sizeof block - 1, keep_refusal, &note, NULL, &err));
    assert_non_null(strstr(note.message, "names a preset"));
    pluck_config_destroy(&config);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        for (uint64_t n = 0;; n++) {
            test_allocator memory;
            pluck_config *config = NULL;
            test_allocator_init(&memory);
            memory.fail_at = n;
            pluck_status status =
                pluck_config_import(&config, cases[i].kind, cases[i].json, strlen(cases[i].json),
                                    NULL, NULL, &memory.interface, NULL);
            assert_int_equal(memory.failed ? PLUCK_ERR_NOMEM : PLUCK_OK, status);
            pluck_config_destroy(&config);
            assert_int_equal(0, memory.n_live);
            if (!memory.failed)
                break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_others_run_the_same_stages_in_their_order),
        cmocka_unit_test(every_key_is_accounted_for),
        cmocka_unit_test(what_is_imported_is_written_and_read_back),
        cmocka_unit_test(kinds_are_told_by_their_keys),
        cmocka_unit_test(wrong_values_are_refused_where_they_stand),
        cmocka_unit_test(bytes_that_json_cannot_have_raw_do_not_reach_it),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
