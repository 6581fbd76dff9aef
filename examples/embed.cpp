/*
 * The program of embed.c in C++: the same loop, the same tokens, with objects that free themselves
 * and exceptions.
 *
 *     c++ -std=c++17 embed.cpp $(pkg-config --cflags --libs pluck) -o embed && ./embed
 */
#include <pluck/pluck.hpp>

#include <cstdio>

constexpr uint32_t n_vocab = 64;

static void toy_model(pluck_token last, std::vector<float> &logits)
{
    for (uint32_t i = 0; i < n_vocab; i++)
        logits[i] = -0.5f * float((i + 3 * n_vocab - 3 * uint32_t(last) - 1) % n_vocab);
}

int main(int argc, char **argv)
try {
    const char *usual = R"({"seed": 42, "temperature": 0.8, "top_p": 0.95, "min_p": 0.05})";
    const std::vector<pluck_token> prompt = {1};
    std::vector<float> values(n_vocab);
    pluck::sampler sampler(argc > 1 ? argv[1] : usual, n_vocab);
    for (int sequence = 0; sequence < 2; sequence++) {
        pluck_token token = prompt.back();
        sampler.prompt(prompt);
        for (int i = 0; i < 12; i++) {
            toy_model(token, values);
            token = sampler.next(pluck::logits(values));
            std::printf("%d%c", int(token), i < 11 ? ' ' : '\n');
        }
        sampler.reset(); // the second line repeats the first
    }
} catch (const pluck::error &e) {
    std::fprintf(stderr, "embed: %s: %s\n", pluck_status_name(e.status()), e.what());
    return 1;
}
