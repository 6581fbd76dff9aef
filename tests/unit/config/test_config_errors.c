/*
 * A configuration is written by hand, and what a mistake in it says is all the help there is: so
 * every kind of mistake has its exact message here, with line, column and path.
 */
#include "test_config_helpers.h"

#include "base/text.h"

typedef struct bad_text {
    const char *json;
    const char *message;
} bad_text;

static void check_all(const bad_text *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must_refuse(cases[i].json, strlen(cases[i].json), cases[i].message);
}

#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof *(cases))

static const bad_text syntax[] = {
    {"", "line 1, column 1: the text is empty"},
    {" \n\t ", "line 2, column 3: the text is empty"},
    {"{", "line 1, column 2: the text ends inside an object"},
    {"{\"top_k\": 4", "line 1, column 12: the text ends inside an object"},
    {"{\"top_k\":", "line 1, column 10: the text ends where a value is expected"},
    {"{\"stages\": [", "line 1, column 13: the text ends where a value is expected"},
    {"{\"stages\": [{}", "line 1, column 15: the text ends inside an array"},
    {"{\"top_k\": 4,}", "line 1, column 13: expected a key in double quotes after ','"},
    {"{top_k: 4}", "line 1, column 2: expected a key in double quotes or '}'"},
    {"{\"top_k\" 4}", "line 1, column 10: expected ':' after the key"},
    {"{\"top_k\": 4 \"top_p\": 1}", "line 1, column 13: expected ',' or '}'"},
    {"{\"order\": [1 2]}", "line 1, column 14: expected ',' or ']'"},
    {"{\"order\": [1,]}", "line 1, column 14: expected a value"},
    {"{} x", "line 1, column 4: unexpected text after the value"},
    {"{}{}", "line 1, column 3: unexpected text after the value"},
    {"{\"a\": 'b'}", "line 1, column 7: strings are written in double quotes"},
    {"{// x\n}", "line 1, column 2: expected a key in double quotes or '}'"},
    {"{\"a\": /* x */ 1}", "line 1, column 7: JSON has no comments; use \"description\""},
    {"{\"top_p\": NaN}", "line 1, column 11: expected a value; JSON has no NaN and no infinity"},
    {"{\"top_p\": Infinity}",
     "line 1, column 11: expected a value; JSON has no NaN and no infinity"},
    {"{\"top_p\": -Infinity}", "line 1, column 12: expected a digit after '-'"},
    {"{\"a\": True}", "line 1, column 7: expected a value; true, false and null are written in "
                      "small letters"},
    {"{\"a\": yes}", "line 1, column 7: expected a value; text is written in double quotes"},
    {"{\"a\": tru}", "line 1, column 7: expected a value; text is written in double quotes"},
    {"{\"top_p\": .5}", "line 1, column 11: expected a value; a number starts with a digit or '-'"},
    {"{\"top_p\": +1}", "line 1, column 11: expected a value; a number starts with a digit or '-'"},
    {"{\"top_p\": 0.}", "line 1, column 13: expected a digit after the decimal point"},
    {"{\"top_p\": 1e}", "line 1, column 13: expected a digit in the exponent"},
    {"{\"top_k\": 040}", "line 1, column 11: a number has no leading zeros"},
    {"{\"top_k\": -040}", "line 1, column 11: a number has no leading zeros"},
    {"{\"top_k\": 0x10}", "line 1, column 12: expected ',' or '}'"},
    {"{\"a", "line 1, column 2: this string does not end; its closing quote is missing"},
    {"{\"a\nb\": 1}",
     "line 1, column 4: control character in a string; a line break is written \\n"},
    {"{\"a\\x\": 1}", "line 1, column 4: unknown escape in a string; \\\\ is a backslash"},
    {"{\"a\\u12G4\": 1}", "line 1, column 4: \\u needs four hexadecimal digits"},
    {"{\"a\\u0000\": 1}", "line 1, column 4: a string cannot hold the character \\u0000"},
    {"{\"a\\uD800\": 1}", "line 1, column 4: \\u with a high surrogate that no low one follows"},
    {"{\"a\\uDC00\": 1}", "line 1, column 4: \\u with a low surrogate that no high one precedes"},
    {"{\"a\xFF\": 1}", "line 1, column 4: invalid UTF-8"},
    {"\xEF\xBB\xBF{\"top_p\": 2}", "line 1, column 11: $.top_p: p = 2 is outside [0, 1]"},
    {"{\r\n  \"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\": ?}",
     "line 2, column 10: expected a value; text is written in double quotes"},
};

static void syntax_errors_say_line_and_column(void **state)
{
    (void)state;
    CHECK_ALL(syntax);
}

static const bad_text keys[] = {
    {"[]", "line 1, column 1: $: a configuration is an object, not an array"},
    {" 3", "line 1, column 2: $: a configuration is an object, not a number"},
    {"null", "line 1, column 1: $: a configuration is an object, not null"},
    {"{\"topp\": 1}", "line 1, column 2: $.topp: unknown key; did you mean 'top_p'?"},
    {"{\"top-k\": 1}", "line 1, column 2: $[\"top-k\"]: unknown key; did you mean 'top_k'?"},
    {"{\"temp\": 1}", "line 1, column 2: $.temp: unknown key; did you mean 'temperature'?"},
    {"{\"Seed\": 1}", "line 1, column 2: $.Seed: unknown key; did you mean 'seed'?"},
    {"{\"ordre\": 1}", "line 1, column 2: $.ordre: unknown key; did you mean 'order'?"},
    {"{\"quality\": 1}", "line 1, column 2: $.quality: unknown key"},
    {"{\"\": 1}", "line 1, column 2: $[\"\"]: unknown key"},
    {"{\"penalties\": {}}",
     "line 1, column 2: $.penalties: unknown key; the flat keys of this stage are: repeat_last_n, "
     "repeat_penalty, frequency_penalty, presence_penalty, repeat_ignore_prompt"},
    {"{\"top_k\": 1,\n \"top_k\": 1}",
     "line 2, column 2: $.top_k: duplicate key 'top_k'; it is already at line 1, column 2"},
    {"{\"x\": [0, {\"a\": {\"b\": 1, \"\\u0062\": 2}}]}",
     "line 1, column 26: $.x[1].a.b: duplicate key 'b'; it is already at line 1, column 18"},
    {"{\"stages\": [], \"top_k\": 3}",
     "line 1, column 16: $.top_k: a flat key next to \"stages\": write {\"type\": \"top_k\", "
     "\"k\": \xE2\x80\xA6} in \"stages\", or use flat keys alone"},
    {"{\"order\": [], \"stages\": []}",
     "line 1, column 2: $.order: not allowed next to \"stages\", which gives the order itself; "
     "remove one of the two"},
    {"{\"stages\": [], \"sede\": 3}",
     "line 1, column 16: $.sede: unknown key; did you mean 'seed'?"},
};

static void keys_that_do_not_belong_are_named_with_the_nearest(void **state)
{
    (void)state;
    CHECK_ALL(keys);
}

static const bad_text values[] = {
    {"{ \"top_p\": 1.7 }", "line 1, column 12: $.top_p: p = 1.7 is outside [0, 1]"},
    {"{\"top_p\": 1.7}", "line 1, column 11: $.top_p: p = 1.7 is outside [0, 1]"},
    {"{\"top_p\": -0.1}", "line 1, column 11: $.top_p: p = -0.1 is outside [0, 1]"},
    {"{\"stages\": [\n  {\"type\": \"top_k\", \"k\": 40},\n  {\"type\": \"top_p\",\n   \"p\": "
     "1.7}\n"
     "]}",
     "line 4, column 9: $.stages[1].p: 1.7 is outside [0, 1]"},
    {"{\"repeat_penalty\": 0}",
     "line 1, column 20: $.repeat_penalty: repeat = 0 is outside (0, 1000000]"},
    {"{\"top_p\": 1e999}",
     "line 1, column 11: $.top_p: p = 1e999 is not a finite number: doubles end at 1.8e308"},
    {"{\"frequency_penalty\": -1e999}",
     "line 1, column 23: $.frequency_penalty: frequency = -1e999 "
     "is not a finite number: doubles end at 1.8e308"},
    {"{\"top_p\": \"0.9\"}",
     "line 1, column 11: $.top_p: expected a number in [0, 1], not a string"},
    {"{\"top_p\": null}", "line 1, column 11: $.top_p: expected a number in [0, 1], not null"},
    {"{\"top_p\": true}", "line 1, column 11: $.top_p: expected a number in [0, 1], not true"},
    {"{\"top_p\": [0.9]}", "line 1, column 11: $.top_p: expected a number in [0, 1], not an array"},
    {"{\"top_k\": {}}", "line 1, column 11: $.top_k: expected a whole number in [0, 2147483647], "
                        "not an object"},
    {"{\"top_k\": 40.5}", "line 1, column 11: $.top_k: k = 40.5 is not a whole number; expected "
                          "one in [0, 2147483647]"},
    {"{\"top_k\": 40.00000000000000000001}",
     "line 1, column 11: $.top_k: k = 40.00000000000000000001 is not a whole number; expected one "
     "in [0, 2147483647]"},
    {"{\"top_k\": 1e-400}", "line 1, column 11: $.top_k: k = 1e-400 is not a whole number; "
                            "expected one in [0, 2147483647]"},
    {"{\"top_k\": -1}", "line 1, column 11: $.top_k: k = -1 is outside [0, 2147483647]"},
    {"{\"top_k\": 2147483648}",
     "line 1, column 11: $.top_k: k = 2147483648 is outside [0, 2147483647]"},
    {"{\"top_k\": 1e999999999}",
     "line 1, column 11: $.top_k: k = 1e999999999 is outside [0, 2147483647]"},
    {"{\"min_keep\": 0}", "line 1, column 14: $.min_keep: min_keep = 0 is outside [1, 16777216]"},
    {"{\"seed\": 18446744073709551616}", "line 1, column 10: $.seed: 18446744073709551616 is not a "
                                         "whole number in [0, 18446744073709551615], or "
                                         "\"random\""},
    {"{\"seed\": -1}", "line 1, column 10: $.seed: -1 is not a whole number in "
                       "[0, 18446744073709551615], or \"random\""},
    {"{\"seed\": 1.5}", "line 1, column 10: $.seed: 1.5 is not a whole number in "
                        "[0, 18446744073709551615], or \"random\""},
    {"{\"seed\": \"dice\"}", "line 1, column 10: $.seed: expected a whole number in "
                             "[0, 18446744073709551615], or \"random\", not another string"},
    {"{\"seed\": null}", "line 1, column 10: $.seed: expected a whole number in "
                         "[0, 18446744073709551615], or \"random\", not null"},
    {"{\"on_nan\": \"skip\"}",
     "line 1, column 12: $.on_nan: expected \"error\" or \"ban\", not another string"},
    {"{\"on_nan\": 0}", "line 1, column 12: $.on_nan: expected \"error\" or \"ban\", not a number"},
    {"{\"description\": 3}", "line 1, column 17: $.description: expected a string, not a number"},
    {"{\"$schema\": {}}", "line 1, column 13: $.$schema: expected a string, not an object"},
};

static void values_are_refused_with_what_is_allowed(void **state)
{
    (void)state;
    CHECK_ALL(values);
}

static const bad_text stages[] = {
    {"{\"stages\": {}}", "line 1, column 12: $.stages: expected an array of stages, not an object"},
    {"{\"stages\": [\"top_k\"]}",
     "line 1, column 13: $.stages[0]: expected an object {\"type\": \"\xE2\x80\xA6\"}, not a "
     "string"},
    {"{\"stages\": [{\"k\": 3}]}",
     "line 1, column 13: $.stages[0]: \"type\" is missing: the name of the stage"},
    {"{\"stages\": [{\"type\": 3}]}",
     "line 1, column 22: $.stages[0].type: expected the name of a stage, not a number"},
    {"{\"stages\": [{\"type\": \"topk\"}]}",
     "line 1, column 22: $.stages[0].type: unknown stage 'topk'; did you mean 'top_k'?"},
    {"{\"stages\": [{\"type\": \"beam\"}]}",
     "line 1, column 22: $.stages[0].type: unknown stage 'beam'"},
    {"{\"stages\": [{\"type\": \"greedy\"}]}",
     "line 1, column 22: $.stages[0].type: 'greedy' is a draw, which comes last: write \"draw\": "
     "\"greedy\""},
    {"{\"stages\": [{\"type\": \"top_k\", \"top_k\": 4}]}",
     "line 1, column 31: $.stages[0].top_k: top_k has no such parameter; did you mean 'k'?"},
    {"{\"stages\": [{\"type\": \"top_p\", \"min_keeep\": 4}]}",
     "line 1, column 31: $.stages[0].min_keeep: top_p has no such parameter; did you mean "
     "'min_keep'?"},
    {"{\"stages\": [{\"type\": \"top_k\", \"banana\": 4}]}",
     "line 1, column 31: $.stages[0].banana: top_k has no such parameter; it has: k"},
    {"{\"draw\": \"top_k\"}",
     "line 1, column 10: $.draw: 'top_k' is a stage, not a draw; draws "
     "are: categorical, greedy, mirostat, mirostat_v2, adaptive_p, gumbel"},
    {"{\"draw\": \"gready\"}",
     "line 1, column 10: $.draw: unknown draw 'gready'; did you mean 'greedy'?"},
    {"{\"draw\": \"dice\"}",
     "line 1, column 10: $.draw: unknown draw 'dice'; there are: categorical, greedy, "
     "mirostat, mirostat_v2, adaptive_p, gumbel"},
    {"{\"draw\": 1}", "line 1, column 10: $.draw: expected the name of a draw, not a number"},
    {"{\"draw\": {\"tau\": 1}}",
     "line 1, column 10: $.draw: \"type\" is missing: the name of the draw"},
    {"{\"draw\": {\"type\": \"greedy\", \"k\": 1}}",
     "line 1, column 29: $.draw.k: greedy has no such parameter; it has none"},
    {"{\"order\": \"top_k\"}",
     "line 1, column 11: $.order: expected an array of stage names, not a string"},
    {"{\"order\": [4]}",
     "line 1, column 12: $.order[0]: expected the name of a stage, not a number"},
    {"{\"order\": [\"top_k\", \"top_q\"]}",
     "line 1, column 21: $.order[1]: unknown stage 'top_q'; did you mean 'top_k'?"},
    {"{\"order\": [\"top_k\", \"top_p\", \"top_k\"]}",
     "line 1, column 30: $.order[2]: 'top_k' is named twice; a stage can run only once"},
    {"{\"order\": [\"greedy\"]}",
     "line 1, column 12: $.order[0]: 'greedy' is a draw, which comes last: write \"draw\": "
     "\"greedy\""},
    {"{\"mirostat\": 3}",
     "line 1, column 14: $.mirostat: expected 0 (no), 1 (mirostat) or 2 (mirostat_v2)"},
    {"{\"mirostat\": 2, \"draw\": \"greedy\"}",
     "line 1, column 17: $.draw: \"mirostat\" is given too; both choose the draw, so remove one"},
    {"{\"draw\": \"greedy\", \"mirostat\": 1}",
     "line 1, column 20: $.mirostat: \"draw\" is given too; both choose the draw, so remove one"},
    {"{\"stages\": [], \"mirostat\": 1}", "line 1, column 16: $.mirostat: not allowed next to "
                                          "\"stages\", with which the draw is chosen by \"draw\": "
                                          "{\"type\": \"mirostat_v2\"}"},
    {"{\"p_less\": 1}", "line 1, column 12: $.p_less: expected true or false, not a number"},
    {"{\"xtc_protect\": 5}",
     "line 1, column 17: $.xtc_protect: expected an array of token ids, not a number"},
    {"{\"xtc_protect\": [5, -1]}",
     "line 1, column 21: $.xtc_protect[1]: -1 is not a token id: a whole number in [0, 16777215]"},
    {"{\"xtc_protect\": [5, 3, 5.0]}",
     "line 1, column 24: $.xtc_protect[2]: token 5 is given twice"},
    {"{\"order\": [\"top_k\"],\n \"top_k\": 3, \"top_p\": 0.5}",
     "line 1, column 11: $.order: 'top_p' is configured but \"order\" does not name it; add it, or "
     "remove its keys"},
};

static void stages_order_and_draw_are_refused_with_what_would_be_right(void **state)
{
    (void)state;
    CHECK_ALL(stages);
}

static const bad_text biases[] = {
    {"{\"logit_bias\": 3}",
     "line 1, column 16: $.logit_bias: expected an object {\"token\": bias} or an array of pairs "
     "[token, bias], not a number"},
    {"{\"logit_bias\": {\"x\": 1}}", "line 1, column 17: $.logit_bias.x: 'x' is not a token id: a "
                                     "whole number in [0, 16777215]"},
    {"{\"logit_bias\": {\"07\": 1}}", "line 1, column 17: $.logit_bias[\"07\"]: '07' is not a "
                                      "token id: a whole number in [0, 16777215]"},
    {"{\"logit_bias\": {\"-1\": 1}}", "line 1, column 17: $.logit_bias[\"-1\"]: '-1' is not a "
                                      "token id: a whole number in [0, 16777215]"},
    {"{\"logit_bias\": {\"\": 1}}", "line 1, column 17: $.logit_bias[\"\"]: '' is not a token id: "
                                    "a whole number in [0, 16777215]"},
    {"{\"logit_bias\": {\"16777216\": 1}}",
     "line 1, column 17: $.logit_bias[\"16777216\"]: '16777216' is not a token id: a whole number "
     "in [0, 16777215]"},
    {"{\"logit_bias\": {\"5\": true}}",
     "line 1, column 22: $.logit_bias[\"5\"]: a bias is a number, or false or null to ban the "
     "token, not true"},
    {"{\"logit_bias\": {\"5\": 1e7}}",
     "line 1, column 22: $.logit_bias[\"5\"]: 1e7 is outside [-1000000, 1000000]"},
    {"{\"logit_bias\": {\"5\": 1, \"5\": 1}}",
     "line 1, column 25: $.logit_bias[\"5\"]: duplicate key '5'; it is already at line 1, column "
     "17"},
    {"{\"logit_bias\": [[5, 1], [6, 1], [5, 2]]}",
     "line 1, column 33: $.logit_bias[2]: token 5 is given twice"},
    {"{\"logit_bias\": [[5, 1], [5, 1], [5, 2]]}",
     "line 1, column 25: $.logit_bias[1]: token 5 is given twice"},
    {"{\"logit_bias\": [[5]]}",
     "line 1, column 17: $.logit_bias[0]: expected a pair [token, bias]"},
    {"{\"logit_bias\": [[5, 1, 1]]}",
     "line 1, column 17: $.logit_bias[0]: expected a pair [token, bias]"},
    {"{\"logit_bias\": [5, 1]}",
     "line 1, column 17: $.logit_bias[0]: expected a pair [token, bias]"},
    {"{\"logit_bias\": [[\"hello\", 1]]}",
     "line 1, column 18: $.logit_bias[0][0]: a string is not a token id: a whole number in "
     "[0, 16777215]"},
    {"{\"logit_bias\": [[5.5, 1]]}", "line 1, column 18: $.logit_bias[0][0]: 5.5 is not a token "
                                     "id: a whole number in [0, 16777215]"},
    {"{\"logit_bias\": [[-5, 1]]}", "line 1, column 18: $.logit_bias[0][0]: -5 is not a token id: "
                                    "a whole number in [0, 16777215]"},
    {"{\"stages\": [{\"type\": \"logit_bias\", \"bias\": [[5, \"x\"]]}]}",
     "line 1, column 49: $.stages[0].bias[0][1]: a bias is a number, or false or null to ban the "
     "token, not a string"},
};

static void bias_maps_are_refused_at_the_entry_that_is_wrong(void **state)
{
    (void)state;
    CHECK_ALL(biases);
}

typedef struct bad_value {
    const char *json, *key, *value, *message;
} bad_value;

static const bad_value settings[] = {
    {"{}", "top_p", "1.7", "top_p: p = 1.7 is outside [0, 1]"},
    {"{\"stages\": []}", "top_p", "1.7", "top_p: p = 1.7 is outside [0, 1]"},
    {"{}", "top_p", "0,9",
     "top_p: '0,9' is not a JSON value: character 2: unexpected text after the value"},
    {"{}", "top_p", "", "top_p: '' is not a JSON value: character 1: the text is empty"},
    {"{}", "draw", "greedy",
     "draw: 'greedy' is not a JSON value: character 1: expected a value; text is written in double "
     "quotes"},
    {"{}", "topk", "3", "topk: unknown key; did you mean 'top_k'?"},
    {"{\"stages\": []}", "topk", "3", "topk: unknown key; did you mean 'top_k'?"},
    {"{}", "stages", "[]", "stages: unknown key"},
    {"{\"stages\": []}", "stages", "[]", "stages: unknown key"},
    {"{}", "logit_bias", "{\"5\": 1, \"x\": 2}",
     "logit_bias.x: 'x' is not a token id: a whole number in [0, 16777215]"},
    {"{}", "logit_bias", "[[5, 1], [5, 2]]", "logit_bias[1]: token 5 is given twice"},
    {"{\"order\": []}", "top_k", "3",
     "top_k: 'top_k' is configured but \"order\" does not name it; add it, or remove its keys"},
    {"{\"top_k\": 3}", "order", "[]",
     "order: 'top_k' is configured but \"order\" does not name it; add it, or remove its keys"},
    {"{\"stages\": []}", "order", "[]",
     "order: this configuration has \"stages\", which gives the order itself; remove one of the "
     "two"},
    {"{\"stages\": [{\"type\": \"top_k\"}]}", "min_keep", "3",
     "min_keep: no stage of this configuration has this parameter; add the stage first"},
};

static void a_refused_setting_names_its_key_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const bad_value *c = &settings[i];
        pluck_config *config = must_read(c->json);
        char *before = must_write(config);
        pluck_error err = {PLUCK_OK, ""};
        pluck_status status = pluck_config_set_json(config, c->key, c->value, &err);
        if (status != PLUCK_ERR_CONFIG || strcmp(err.message, c->message) != 0)
            fail_msg("%s, %s = %s\n  expected: %s\n  got:      %s", c->json, c->key, c->value,
                     c->message, err.message);
        char *after = must_write(config);
        assert_string_equal(before, after);
        free(before);
        free(after);
        pluck_config_destroy(&config);
    }
}

/* Messages quote what they are given, which can be anything. */
static void messages_stay_one_line_of_valid_text(void **state)
{
    (void)state;
    static const char *const keys_of_all_kinds[] = {
        "\\u0001\\n\\r\\t",
        ("\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80"
         "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80"
         "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aa"),
    };
    for (size_t i = 0; i < sizeof keys_of_all_kinds / sizeof *keys_of_all_kinds; i++) {
        char json[4096];
        size_t n = 0;
        pluck_error err = {PLUCK_OK, ""};
        pluck_config *config = NULL;
        for (int depth = 0; depth < 8; depth++)
            n += (size_t)snprintf(json + n, sizeof json - n, "{\"%s\": ", keys_of_all_kinds[i]);
        n += (size_t)snprintf(json + n, sizeof json - n, "{\"%s\": 1, \"%s\": 2}}}}}}}}}",
                              keys_of_all_kinds[i], keys_of_all_kinds[i]);
        assert_int_equal(pluck_config_from_json(&config, json, n, NULL, &err), PLUCK_ERR_CONFIG);
        assert_non_null(strstr(err.message, "duplicate key '"));
        assert_non_null(strstr(err.message, "it is already at line 1, column"));
        assert_null(strpbrk(err.message, "\r\n\t\x01"));
        for (size_t at = 0; err.message[at] != '\0';) {
            uint32_t code_point = 0;
            size_t left = strlen(err.message) - at;
            size_t length = plk_utf8_decode(err.message + at, left, &code_point);
            assert_true(length > 0);
            at += length;
        }
    }
}

/* Around the length at which quoted text is cut, in every place that quotes. */
static void quoted_text_of_any_length_fits(void **state)
{
    (void)state;
    static const char *const forms[] = {"{\"%s\": 1}",
                                        "{\"draw\": \"%s\"}",
                                        "{\"stages\": [{\"type\": \"%s\"}]}",
                                        "{\"logit_bias\": {\"%s\": 1}}",
                                        "{\"seed\": 1.%s1}",
                                        "{\"%s\": 1, \"%s\": 1}",
                                        "{\"top_k\": %s5}"};
    char text[121], json[512];
    for (size_t n = 0; n <= 120; n++) {
        for (size_t i = 0; i < 2 * (sizeof forms / sizeof *forms); i++) {
            pluck_error err = {PLUCK_OK, ""};
            pluck_config *config = must_read("{}"), *none = NULL;
            memset(text, i % 2 ? '1' : '9', n);
            text[n] = '\0';
            snprintf(json, sizeof json, forms[i / 2], text, text);
            (void)pluck_config_from_json(&none, json, strlen(json), NULL, &err);
            assert_true(strlen(err.message) < sizeof err.message);
            pluck_config_destroy(&none);
            assert_int_not_equal(pluck_config_set_json(config, text, "[]", &err), PLUCK_OK);
            assert_int_not_equal(pluck_config_set_json(config, text, "[", &err), PLUCK_OK);
            pluck_config_destroy(&config);
        }
    }
}

static void null_arguments_are_a_callers_mistake(void **state)
{
    (void)state;
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = must_read("{}"), *out = config;
    size_t size_bytes = 0;
    char text[8];
    assert_int_equal(pluck_config_create(NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_from_json(NULL, "{}", 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_from_json(&out, NULL, 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_null(out);
    assert_int_equal(pluck_config_from_json(&out, NULL, 0, NULL, &err), PLUCK_ERR_CONFIG);
    assert_string_equal(err.message, "line 1, column 1: the text is empty");
    assert_int_equal(pluck_config_clone(NULL, config, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_clone(&out, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_set_json(NULL, "top_k", "1", &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_set_json(config, NULL, "1", &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_set_json(config, "top_k", NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_to_json(NULL, text, 8, &size_bytes, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_to_json(config, NULL, 8, &size_bytes, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_to_json(config, text, 8, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_schema(NULL, 8, &size_bytes, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_schema(text, 8, NULL, &err), PLUCK_ERR_INVALID);
    pluck_config_stage stage = PLUCK_INIT(pluck_config_stage);
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    assert_int_equal(pluck_config_get_info(NULL, &info, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_get_info(config, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_config_get_stage(config, 1, &stage, &err), PLUCK_ERR_INVALID);
    assert_string_equal(
        err.message, "pluck_config_get_stage: stage 1 does not exist; the number of stages is 1");
    assert_null(stage.stage);
    assert_true(pluck_config_equal(NULL, NULL));
    assert_false(pluck_config_equal(config, NULL));
    pluck_config_destroy(&config);
    pluck_config_destroy(&config);
    pluck_config_destroy(NULL);
    assert_int_equal(pluck_config_from_json(&out, "[]", 2, NULL, NULL), PLUCK_ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_errors_say_line_and_column),
        cmocka_unit_test(keys_that_do_not_belong_are_named_with_the_nearest),
        cmocka_unit_test(values_are_refused_with_what_is_allowed),
        cmocka_unit_test(stages_order_and_draw_are_refused_with_what_would_be_right),
        cmocka_unit_test(bias_maps_are_refused_at_the_entry_that_is_wrong),
        cmocka_unit_test(a_refused_setting_names_its_key_and_changes_nothing),
        cmocka_unit_test(messages_stay_one_line_of_valid_text),
        cmocka_unit_test(quoted_text_of_any_length_fits),
        cmocka_unit_test(null_arguments_are_a_callers_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
