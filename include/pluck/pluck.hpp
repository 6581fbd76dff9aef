/*
 * pluck for C++17 and later: the C functions with objects that free themselves, exceptions and
 * spans. There is nothing here that the C headers do not have, and their contracts hold.
 *
 *     pluck::sampler sampler(R"({"temperature": 0.8, "top_p": 0.95, "seed": 42})", n_vocab);
 *     sampler.prompt(prompt);
 *     for (pluck_token token; (token = sampler.next(model_logits())) != end_of_text;)
 *         emit(token);
 *
 * A function that fails throws pluck::error, which has the status and the message; the object is
 * then as it was before. Objects can be moved, not copied; clone() makes a copy. Where a function
 * has no method here, get() gives the C object, and call() turns failures into exceptions. make()
 * makes the objects of the other headers:
 *
 *     auto head = pluck::make(pluck_head_open, "head.safetensors", nullptr);
 *     pluck::call(pluck_head_save, head.get(), "copy.safetensors");
 */
#ifndef PLUCK_PLUCK_HPP
#define PLUCK_PLUCK_HPP

#include <pluck/dump.h>
#include <pluck/fasttext.h>
#include <pluck/head.h>
#include <pluck/pluck.h>
#include <pluck/sampled_softmax.h>
#include <pluck/shard.h>
#include <pluck/speculative.h>
#include <pluck/trace.h>
#include <pluck/tune.h>
#include <pluck/weighted.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__cpp_lib_span) || (__cplusplus >= 202002L && __has_include(<span>))
#    include <span>
#endif

namespace pluck
{

/* What a failed call throws. what() is the message of pluck_error. */
class error : public std::runtime_error
{
public:
    error(pluck_status status, const char *text) : std::runtime_error(text), status_(status) {}
    pluck_status status() const noexcept { return status_; }

private:
    pluck_status status_;
};

#ifdef __cpp_lib_span
template <class T> using span = std::span<T>;
#else
/* The part of C++20's std::span that this header needs. */
template <class T> class span
{
public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N> constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                   decltype(std::declval<Container &>().data()), T *>>>
    constexpr span(Container &&container) noexcept :
        data_(container.data()), size_(container.size()) {}
    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/* Calls a function that returns a pluck_status and takes a pluck_error * last. */
template <class... P, class... A> void call(pluck_status (*function)(P...), A &&...arguments)
{
    pluck_error err;
    const pluck_status status = function(std::forward<A>(arguments)..., &err);
    if (status != PLUCK_OK)
        throw error(status, err.message);
}

/* How an object is freed. */
template <class T> struct destroyer;
#define PLUCK_HANDLE(type)                                                                         \
    template <> struct destroyer<type> {                                                           \
        static void destroy(type **object) noexcept { type##_destroy(object); }                    \
    };
PLUCK_HANDLE(pluck_candidate_sampler)
PLUCK_HANDLE(pluck_config)
PLUCK_HANDLE(pluck_dump)
PLUCK_HANDLE(pluck_dump_writer)
PLUCK_HANDLE(pluck_fasttext)
PLUCK_HANDLE(pluck_fasttext_query)
PLUCK_HANDLE(pluck_head)
PLUCK_HANDLE(pluck_head_query)
PLUCK_HANDLE(pluck_pool)
PLUCK_HANDLE(pluck_registry)
PLUCK_HANDLE(pluck_sampler)
PLUCK_HANDLE(pluck_speculation)
PLUCK_HANDLE(pluck_targets)
PLUCK_HANDLE(pluck_trace)
PLUCK_HANDLE(pluck_trainer)
PLUCK_HANDLE(pluck_tree)
PLUCK_HANDLE(pluck_weighted)
PLUCK_HANDLE(pluck_workspace)
#undef PLUCK_HANDLE

/* Owns one C object. */
template <class T> class handle
{
public:
    handle() noexcept = default;
    explicit handle(T *object) noexcept : object_(object) {}
    handle(handle &&other) noexcept : object_(other.release()) {}
    handle &operator=(handle &&other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }
    ~handle() { destroyer<T>::destroy(&object_); }

    T *get() const noexcept { return object_; }
    T *release() noexcept { return std::exchange(object_, nullptr); }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    T *object_ = nullptr;
};

/* Makes an object with a function of the form create(T **out, ..., pluck_error *err). */
template <class T, class... P, class... A>
handle<T> make(pluck_status (*create)(T **, P...), A &&...arguments)
{
    T *object = nullptr;
    call(create, &object, std::forward<A>(arguments)...);
    return handle<T>(object);
}

inline pluck_logits logits(span<const float> row) noexcept
{
    return {row.data(), PLUCK_F32, static_cast<uint32_t>(row.size())};
}

class pool : public handle<pluck_pool>
{
public:
    /* 0: one thread for each processor. */
    explicit pool(uint32_t n_threads = 0) : handle(make(pluck_pool_create, n_threads, nullptr)) {}
    const pluck_parallel *parallel() const noexcept { return pluck_pool_parallel(get()); }
};

class config : public handle<pluck_config>
{
public:
    explicit config(std::string_view json = "{}", const pluck_config_options *options = nullptr) :
        handle(make(pluck_config_from_json, json.data(), json.size(), options)) {}
    config clone() const { return config(make(pluck_config_clone, get())); }

    /* set() chooses the setter by the type of the value. */
    config &set(const char *key, double v) { return with(pluck_config_set_number, key, v); }
    config &set(const char *key, const char *v) { return with(pluck_config_set_text, key, v); }
    template <class V, class = std::enable_if_t<std::is_integral_v<V>>>
    config &set(const char *key, V v)
    {
        if constexpr (std::is_same_v<V, bool>)
            return with(pluck_config_set_bool, key, v);
        else
            return with(pluck_config_set_integer, key, static_cast<int64_t>(v));
    }
    config &set(const char *key, span<const pluck_token> tokens)
    {
        return with(pluck_config_set_tokens, key, tokens.data(), tokens.size());
    }
    config &set(const char *key, span<const pluck_bias> biases)
    {
        return with(pluck_config_set_biases, key, biases.data(), biases.size());
    }
    config &set_seed(uint64_t seed) { return with(pluck_config_set_seed, seed); }
    config &set_json(const char *key, const char *v) { return with(pluck_config_set_json, key, v); }
    config &add_stage(const char *name) { return with(pluck_config_add_stage, name); }

    std::string json() const
    {
        size_t n_bytes = 0;
        call(pluck_config_to_json, get(), nullptr, size_t{0}, &n_bytes);
        std::string text(n_bytes, '\0');
        call(pluck_config_to_json, get(), text.data(), text.size(), &n_bytes);
        text.pop_back(); /* the NUL */
        return text;
    }
    bool operator==(const config &other) const { return pluck_config_equal(get(), other.get()); }

private:
    explicit config(handle &&made) noexcept : handle(std::move(made)) {}
    template <class... P, class... A>
    config &with(pluck_status (*setter)(pluck_config *, P...), A... arguments)
    {
        call(setter, get(), arguments...);
        return *this;
    }
};

class workspace : public handle<pluck_workspace>
{
public:
    /* Memory that samplers share; parallel NULL: one row at a time. */
    explicit workspace(uint32_t n_vocab, const pluck_parallel *parallel = nullptr) :
        handle(make(pluck_workspace_create, n_vocab, parallel, nullptr)) {}
    void run(span<pluck_sampler *const> samplers, const pluck_matrix &rows,
             const pluck_outputs &outputs)
    {
        if (samplers.size() != rows.n_rows)
            throw error(PLUCK_ERR_INVALID, "workspace: one sampler per row is needed");
        call(pluck_workspace_run, get(), samplers.data(), &rows, &outputs);
    }
    void sample_rows(const config &c, uint64_t seed, uint64_t stream0, uint64_t position,
                     const pluck_matrix &rows, const pluck_outputs &outputs)
    {
        call(pluck_sample_rows, get(), c.get(), seed, stream0, position, &rows, &outputs);
    }
};

class sampler : public handle<pluck_sampler>
{
public:
    sampler(std::string_view json, uint32_t n_vocab) :
        handle(make(pluck_sampler_from_json, json.data(), json.size(), n_vocab)) {}
    sampler(const config &c, uint32_t n_vocab, const pluck_sampler_options *options = nullptr) :
        handle(make(pluck_sampler_create, c.get(), n_vocab, options)) {}
    sampler clone() const { return sampler(make(pluck_sampler_clone, get())); }

    pluck_token next(pluck_logits row) { return result<pluck_token>(pluck_sampler_next, row); }
    pluck_token sample(pluck_logits row) { return result<pluck_token>(pluck_sampler_sample, row); }
    pluck_draw draw(pluck_logits row) { return result<pluck_draw>(pluck_sampler_draw, row); }
    void accept(pluck_token token) { call(pluck_sampler_accept, get(), token); }
    void accept(span<const pluck_token> tokens) { give(pluck_sampler_accept_many, tokens); }
    void prompt(span<const pluck_token> tokens) { give(pluck_sampler_prompt, tokens); }
    void rewind(uint32_t n) { call(pluck_sampler_rewind, get(), n); }
    void reset() { call(pluck_sampler_reset, get()); }
    void start(uint64_t seed, uint64_t stream) { call(pluck_sampler_start, get(), seed, stream); }
    void set_position(uint64_t position) { call(pluck_sampler_set_position, get(), position); }
    void reconfigure(const config &c) { call(pluck_sampler_reconfigure, get(), c.get()); }
    void set_mask(span<const int32_t> words) { give(pluck_sampler_set_mask, words); }
    uint64_t position() const noexcept { return pluck_sampler_position(get()); }
    std::vector<pluck_token> history() const
    {
        std::vector<pluck_token> tokens(pluck_sampler_history(get(), nullptr, 0));
        pluck_sampler_history(get(), tokens.data(), tokens.size());
        return tokens;
    }

    std::vector<pluck_prob> distribution(pluck_logits row)
    {
        std::vector<pluck_prob> probs(row.n_vocab);
        uint32_t n = 0;
        call(pluck_sampler_distribution, get(), row, probs.data(), row.n_vocab, &n);
        probs.resize(n);
        return probs;
    }
    double logprob(pluck_logits row, pluck_logprob_kind kind, pluck_token token)
    {
        double value = 0;
        call(pluck_sampler_logprob, get(), row, kind, token, &value);
        return value;
    }
    void run(pluck_logits row, const pluck_outputs &o) { call(pluck_sampler_run, get(), row, &o); }

    std::vector<unsigned char> save() const
    {
        size_t n_bytes = 0;
        call(pluck_sampler_save, get(), nullptr, size_t{0}, &n_bytes);
        std::vector<unsigned char> bytes(n_bytes);
        call(pluck_sampler_save, get(), bytes.data(), bytes.size(), &n_bytes);
        return bytes;
    }
    void restore(span<const unsigned char> bytes) { give(pluck_sampler_restore, bytes); }

private:
    explicit sampler(handle &&made) noexcept : handle(std::move(made)) {}
    template <class F, class T> void give(F function, span<T> items)
    {
        call(function, get(), items.data(), items.size());
    }
    template <class Result>
    Result result(pluck_status (*function)(pluck_sampler *, pluck_logits, Result *, pluck_error *),
                  pluck_logits row)
    {
        Result value{};
        call(function, get(), row, &value);
        return value;
    }
};

} // namespace pluck

#endif
