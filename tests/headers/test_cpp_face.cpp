/*
 * Why: pluck.hpp promises that it adds nothing to the C functions. Each method gives what its
 * function gives, failures are exceptions with the status and the message, and objects are freed
 * once.
 */
#include <pluck/pluck.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (0)

namespace
{

constexpr uint32_t n_vocab = 50;
const char json[] = R"({"temperature": 0.9, "top_p": 0.9, "repeat_penalty": 1.2, "seed": 7})";
long n_blocks = 0;

void *take(void *, size_t n_bytes)
{
    n_blocks++;
    return std::malloc(n_bytes);
}

void give(void *, void *memory)
{
    n_blocks--;
    std::free(memory);
}

std::vector<float> row(int step)
{
    std::vector<float> z(n_vocab);
    for (uint32_t i = 0; i < n_vocab; i++)
        z[i] = float((i * 37 + uint32_t(step) * 11) % 50) / 8;
    return z;
}

/* The status that f throws; PLUCK_OK if it throws nothing. */
template <class F>
pluck_status thrown_by(F f, const char *part)
{
    try {
        f();
    } catch (const pluck::error &e) {
        CHECK(std::strstr(e.what(), part) != nullptr);
        return e.status();
    }
    return PLUCK_OK;
}

void methods_give_what_functions_give()
{
    pluck_sampler *c = nullptr;
    CHECK(pluck_sampler_from_json(&c, json, sizeof json - 1, n_vocab, nullptr) == PLUCK_OK);
    pluck::sampler cpp(json, n_vocab);
    const std::vector<pluck_token> prompt = {3, 4, 5};
    CHECK(pluck_sampler_prompt(c, prompt.data(), prompt.size(), nullptr) == PLUCK_OK);
    cpp.prompt(prompt);
    for (int step = 0; step < 30; step++) {
        const std::vector<float> z = row(step);
        const pluck_logits logits = {z.data(), PLUCK_F32, n_vocab};
        pluck_draw draw;
        CHECK(pluck_sampler_draw(c, logits, &draw, nullptr) == PLUCK_OK);
        const pluck_draw same = cpp.draw(pluck::logits(z));
        CHECK(same.token == draw.token && same.logprob == draw.logprob);
        CHECK(float(cpp.logprob(logits, PLUCK_LOGPROB_FINAL, draw.token)) == draw.logprob);
        CHECK(cpp.distribution(logits).size() == draw.n_survivors);
        CHECK(cpp.sample(logits) == draw.token);
        CHECK(pluck_sampler_accept(c, draw.token, nullptr) == PLUCK_OK);
        CHECK(cpp.next(logits) == draw.token);
    }
    CHECK(cpp.position() == pluck_sampler_position(c));
    pluck_sampler_destroy(&c);
}

void copies_and_saved_states_go_on_alike()
{
    pluck::sampler sampler(json, n_vocab);
    for (int step = 0; step < 5; step++)
        sampler.next(pluck::logits(row(step)));
    pluck::sampler copy = sampler.clone(), restored(json, n_vocab);
    restored.restore(sampler.save());
    sampler.next(pluck::logits(row(5)));
    sampler.rewind(1);
    for (int step = 5; step < 20; step++) {
        const std::vector<float> z = row(step);
        const pluck_token token = sampler.next(pluck::logits(z));
        CHECK(copy.next(pluck::logits(z)) == token);
        CHECK(restored.next(pluck::logits(z)) == token);
    }
}

void a_configuration_changes_within_a_sequence()
{
    const std::vector<pluck_token> prompt = {3, 4, 5};
    pluck::sampler sampler(json, n_vocab), greedy(R"({"top_k": 1})", n_vocab);
    sampler.prompt(prompt);
    CHECK(sampler.history() == prompt);
    sampler.reconfigure(pluck::config(R"({"top_k": 1})"));
    CHECK(sampler.history() == prompt);
    const std::vector<float> z = row(2);
    CHECK(sampler.next(pluck::logits(z)) == greedy.next(pluck::logits(z)));
    CHECK(sampler.history().size() == 4);
}

void configurations_are_built_by_setters()
{
    const pluck_bias biases[] = {{3, -2.5}};
    pluck::config config;
    config.set("temperature", 0.9).set("top_k", 20).set("draw", "categorical").set_seed(11);
    config.set("logit_bias", biases).set_json("min_p", "0.05");
    CHECK(config == pluck::config(config.json()));
    CHECK(config == pluck::config(R"({"temperature": 0.9, "top_k": 20, "min_p": 0.05,
                                      "logit_bias": {"3": -2.5}, "seed": 11})"));
    CHECK(config.clone() == config);
    CHECK(!(config.clone().set("top_k", 21) == config));
}

void failures_are_exceptions()
{
    CHECK(thrown_by([] { pluck::sampler(R"({"top_q": 1})", n_vocab); }, "top_q") ==
          PLUCK_ERR_CONFIG);
    CHECK(thrown_by([] { pluck::config().set("top_p", 1.5); }, "top_p") == PLUCK_ERR_CONFIG);
    pluck::sampler sampler(json, n_vocab);
    CHECK(thrown_by([&] { sampler.accept(pluck_token(n_vocab)); }, "50") == PLUCK_ERR_INVALID);
    CHECK(thrown_by([&] { sampler.sample(pluck_logits{nullptr, PLUCK_F32, n_vocab}); }, "") ==
          PLUCK_ERR_INVALID);
    const std::vector<int32_t> nothing = {0, 0};
    sampler.set_mask(nothing);
    CHECK(thrown_by([&] { sampler.sample(pluck::logits(row(0))); }, "") == PLUCK_ERR_EMPTY);
    CHECK(thrown_by([] { pluck::make(pluck_head_open, "/nowhere/head.safetensors", nullptr); },
                    "/nowhere") == PLUCK_ERR_IO);
}

void rows_run_on_threads()
{
    pluck::pool pool(2);
    pluck::workspace workspace(n_vocab, pool.parallel());
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.workspace = workspace.get();
    const pluck::config config(json);
    pluck::sampler a(config, n_vocab, &options), b(config, n_vocab, &options), alone(json, n_vocab);
    pluck_sampler *samplers[] = {a.get(), b.get()};
    const std::vector<float> z = row(1);
    const void *rows[] = {z.data(), z.data()};
    pluck_matrix matrix = {};
    matrix.rows = rows;
    matrix.n_rows = 2;
    matrix.n_cols = n_vocab;
    pluck_token tokens[2];
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = tokens;
    outputs.accept = true;
    workspace.run(samplers, matrix, outputs);
    CHECK(tokens[0] == tokens[1] && tokens[0] == alone.next(pluck::logits(z)));
    CHECK(a.position() == 1);
    outputs.accept = false;
    workspace.sample_rows(config, 9, 4, 0, matrix, outputs);
    alone.start(9, 5);
    CHECK(tokens[1] == alone.next(pluck::logits(z)));
}

void objects_are_freed_once()
{
    const pluck_allocator allocator = {take, give, nullptr};
    pluck_config_options options = PLUCK_INIT(pluck_config_options);
    options.allocator = &allocator;
    {
        pluck::config first(json, &options);
        CHECK(n_blocks > 0);
        pluck::config second = std::move(first);
        CHECK(!first && second);
        first = second.clone();
        second = std::move(first);
        CHECK(second.get() != nullptr);
    }
    CHECK(n_blocks == 0);
}

} // namespace

int main()
{
    methods_give_what_functions_give();
    copies_and_saved_states_go_on_alike();
    a_configuration_changes_within_a_sequence();
    configurations_are_built_by_setters();
    failures_are_exceptions();
    rows_run_on_threads();
    objects_are_freed_once();
    return 0;
}
