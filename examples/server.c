/*
 * The sampling side of an inference server: 32 requests, each with its own JSON, share one
 * workspace and the server's own threads. A toy model stands for the real one. The requests show
 * what a server meets: log-probabilities for the response, a parameter that changes midway, a
 * session that is parked as bytes and resumed, a mask, and drafted tokens that the model verifies.
 *
 *     cc -std=c11 -O2 server.c $(pkg-config --cflags --libs pluck) -pthread -o server && ./server
 *
 * At the end the program checks what must hold: parking and drafting change no token.
 */
#include <pluck/pluck.h>
#include <pluck/speculative.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 48, N_DIGITS = 10, N_KINDS = 8, N_REQUESTS = 32, N_TOKENS = 24 };
enum { N_THREADS = 3, N_TOP = 3, MAX_DRAFTS = 4, CHANGE_AT = 8, PARK_AT = 6, RESUME_AT = 12 };

static const char *const texts[N_VOCAB] = {
    "0",    "1",    "2",    "3",     "4",    "5",      "6",     "7",     "8",    "9",
    "the",  "a",    "sea",  "wind",  "ship", "moon",   "night", "gull",  "sail", "rope",
    "song", "salt", "wave", "shore", "is",   "was",    "sang",  "rose",  "fell", "came",
    "went", "held", "slow", "cold",  "old",  "bright", "far",   "under", "over", "past",
    "with", "and",  "then", "but",   ".",    ",",      ";",     "!"};

/* What requests can ask for. Each kind comes with four seeds. */
typedef struct kind {
    const char *name, *json;
    const char *changed_json; /* the configuration from token CHANGE_AT on */
    bool is_parked, only_digits, has_drafts;
} kind;

#define USUAL "\"temperature\": 0.9, \"top_p\": 0.95, \"repeat_penalty\": 1.3"

static const kind kinds[N_KINDS] = {
    {.name = "usual", .json = "{" USUAL "}"},
    {.name = "changed", .json = "{" USUAL "}", .changed_json = "{\"temperature\": 0}"},
    {.name = "parked", .json = "{" USUAL "}", .is_parked = true},
    {.name = "creative", .json = "{\"temperature\": 1.5, \"min_p\": 0.1}"},
    {.name = "digits", .json = "{\"temperature\": 1}", .only_digits = true},
    {.name = "greedy", .json = "{\"temperature\": 0}"},
    {.name = "drafted", .json = "{\"temperature\": 0}", .has_drafts = true},
    {.name = "mirostat", .json = "{\"draw\": \"mirostat_v2\", \"mirostat_tau\": 3}"},
};

typedef struct session {
    const kind *kind;
    uint64_t seed;
    pluck_sampler *sampler; /* NULL while parked */
    void *parked;           /* its state then */
    size_t parked_bytes;
    pluck_token tokens[N_TOKENS + MAX_DRAFTS + 1]; /* generated; a step can overshoot the end */
    float logprobs[N_TOKENS + MAX_DRAFTS + 1];
    size_t n_tokens;
    uint32_t n_accepted; /* drafts */
} session;

static pluck_error err;

static void check(pluck_status status)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "server: %s: %s\n", pluck_status_name(status), err.message);
    exit(1);
}

/*
 * The server's threads. A call of run() is one round: every thread takes items until none is left.
 */

typedef struct threads {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t ids[N_THREADS - 1];
    void (*task)(void *data, uint32_t worker, size_t item);
    void *data;
    size_t n_items, next;
    unsigned round, n_busy;
    bool is_over;
} threads;

typedef struct member {
    threads *all;
    uint32_t worker;
} member;

/* The lock is held on entry and on return. */
static void take_items(threads *t, uint32_t worker)
{
    while (t->next < t->n_items) {
        size_t item = t->next++;
        pthread_mutex_unlock(&t->lock);
        t->task(t->data, worker, item);
        pthread_mutex_lock(&t->lock);
    }
}

static void *work(void *argument)
{
    member *self = argument;
    threads *t = self->all;
    unsigned round = 0;
    pthread_mutex_lock(&t->lock);
    while (!t->is_over) {
        if (t->round == round) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        round = t->round;
        take_items(t, self->worker);
        t->n_busy--;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* What pluck calls: pluck_parallel.run. */
static void run(void *user, size_t n_items, void (*task)(void *, uint32_t, size_t), void *data)
{
    threads *t = user;
    pthread_mutex_lock(&t->lock);
    t->task = task;
    t->data = data;
    t->n_items = n_items;
    t->next = 0;
    t->n_busy = N_THREADS - 1;
    t->round++;
    pthread_cond_broadcast(&t->changed);
    take_items(t, 0);
    while (t->n_busy > 0)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* The model: logits after the first n_tokens tokens, which depend on the last of them. */
static void toy_model(const session *s, size_t n_tokens, float *logits)
{
    uint32_t last = n_tokens > 0 ? (uint32_t)s->tokens[n_tokens - 1] : 44;
    for (uint32_t i = 0; i < N_VOCAB; i++) {
        uint32_t hash = last * 2654435761u + i * 2246822519u;
        hash = (hash ^ hash >> 15) * 2654435761u;
        logits[i] = (float)(hash >> 24) / 24.0f - (i < N_DIGITS ? 3.0f : 0.0f);
    }
}

static pluck_sampler *create(const session *s, const char *json, pluck_workspace *workspace)
{
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.workspace = workspace;
    options.keep_history = UINT64_MAX; /* so that any later configuration can look back */
    check(pluck_config_from_json(&config, json, strlen(json), NULL, &err));
    check(pluck_config_set_seed(config, s->seed, &err));
    check(pluck_sampler_create(&sampler, config, N_VOCAB, &options, &err));
    pluck_config_destroy(&config);
    return sampler;
}

static void reconfigure(session *s)
{
    pluck_config *config = NULL;
    const char *json = s->kind->changed_json;
    check(pluck_config_from_json(&config, json, strlen(json), NULL, &err));
    check(pluck_sampler_reconfigure(s->sampler, config, &err));
    pluck_config_destroy(&config);
}

static void park(session *s)
{
    check(pluck_sampler_save(s->sampler, NULL, 0, &s->parked_bytes, &err));
    s->parked = malloc(s->parked_bytes);
    if (!s->parked)
        exit(1);
    check(pluck_sampler_save(s->sampler, s->parked, s->parked_bytes, &s->parked_bytes, &err));
    pluck_sampler_destroy(&s->sampler);
}

static void resume(session *s, pluck_workspace *workspace)
{
    s->sampler = create(s, s->kind->json, workspace);
    check(pluck_sampler_restore(s->sampler, s->parked, s->parked_bytes, &err));
    free(s->parked);
    s->parked = NULL;
}

/* Drafts what followed the last occurrence of the last token; the model then gives the logits after
 * each draft at once, and the step accepts the drafts that it would have drawn itself. */
static void step_with_drafts(session *s, pluck_speculation *speculation)
{
    float values[MAX_DRAFTS + 1][N_VOCAB];
    pluck_matrix rows = {.data = values, .dtype = PLUCK_F32, .n_cols = N_VOCAB};
    pluck_drafts drafts = {.tokens = s->tokens + s->n_tokens};
    pluck_verdict verdict;
    size_t n = s->n_tokens, found = 0;
    for (size_t i = 1; i < n; i++)
        found = s->tokens[i - 1] == s->tokens[n - 1] ? i : found;
    for (size_t i = found; found > 0 && i < n && drafts.n < MAX_DRAFTS; i++)
        s->tokens[n + drafts.n++] = s->tokens[i];
    rows.n_rows = drafts.n + 1;
    for (uint32_t i = 0; i <= drafts.n; i++)
        toy_model(s, n + i, values[i]);
    check(pluck_speculation_step(speculation, s->sampler, &rows, &drafts, &verdict, &err));
    s->n_tokens += verdict.n_accepted;
    s->n_accepted += verdict.n_accepted;
    s->tokens[s->n_tokens++] = verdict.next;
}

/* One token for every session that runs, in one call. */
static void step(session *sessions, pluck_workspace *workspace, pluck_logprob *top)
{
    static float values[N_REQUESTS][N_VOCAB];
    static const int32_t digits[(N_VOCAB + 31) / 32] = {(1 << N_DIGITS) - 1};
    pluck_sampler *samplers[N_REQUESTS] = {NULL}; /* NULL: the row is skipped */
    pluck_token tokens[N_REQUESTS];
    float logprobs[N_REQUESTS];
    pluck_matrix rows = {
        .data = values, .dtype = PLUCK_F32, .n_cols = N_VOCAB, .n_rows = N_REQUESTS};
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.accept = true;
    outputs.tokens = tokens;
    outputs.raw_logprobs = logprobs; /* as OpenAI's API: of the model, not of the configuration */
    outputs.n_top = N_TOP;
    outputs.top = top;
    for (size_t i = 0; i < N_REQUESTS; i++) {
        session *s = &sessions[i];
        if (!s->sampler || s->kind->has_drafts || s->n_tokens >= N_TOKENS)
            continue;
        toy_model(s, s->n_tokens, values[i]);
        if (s->kind->only_digits)
            check(pluck_sampler_set_mask(s->sampler, digits, sizeof digits / sizeof *digits, &err));
        samplers[i] = s->sampler;
    }
    check(pluck_workspace_run(workspace, samplers, &rows, &outputs, &err));
    for (size_t i = 0; i < N_REQUESTS; i++)
        if (samplers[i]) {
            session *s = &sessions[i];
            s->logprobs[s->n_tokens] = logprobs[i];
            s->tokens[s->n_tokens++] = tokens[i];
        }
}

/* The log-probabilities of a session's last token, as in the responses of OpenAI's API. */
static void print_logprobs(const session *s, const pluck_logprob *top)
{
    size_t last = s->n_tokens - 1;
    printf("{\"token\": \"%s\", \"logprob\": %.4f, \"top_logprobs\": [", texts[s->tokens[last]],
           (double)s->logprobs[last]);
    for (int i = 0; i < N_TOP; i++)
        printf("%s{\"token\": \"%s\", \"logprob\": %.4f}", i > 0 ? ", " : "", texts[top[i].token],
               (double)top[i].logprob);
    printf("]}\n");
}

static void print_text(const session *s)
{
    printf("%-8s seed %d:", s->kind->name, (int)s->seed);
    for (size_t i = 0; i < N_TOKENS; i++)
        printf(" %s", texts[s->tokens[i]]);
    printf("\n");
}

static bool is_same_text(const session *a, const session *b)
{
    return memcmp(a->tokens, b->tokens, N_TOKENS * sizeof *a->tokens) == 0;
}

/* kinds[k] with this seed. */
static session *find(session *sessions, const char *name, int seed)
{
    for (size_t i = 0; i < N_REQUESTS; i++)
        if (strcmp(sessions[i].kind->name, name) == 0 && sessions[i].seed == (uint64_t)seed)
            return &sessions[i];
    abort();
}

static bool is_as_promised(session *sessions)
{
    bool is_right = true;
    uint32_t n_accepted = 0;
    for (int seed = 1; seed <= N_REQUESTS / N_KINDS; seed++) {
        const session *usual = find(sessions, "usual", seed);
        const session *drafted = find(sessions, "drafted", seed);
        is_right &= is_same_text(usual, find(sessions, "parked", seed));
        is_right &= is_same_text(find(sessions, "greedy", seed), drafted);
        is_right &= memcmp(usual->tokens, find(sessions, "changed", seed)->tokens,
                           CHANGE_AT * sizeof *usual->tokens) == 0;
        n_accepted += drafted->n_accepted;
    }
    printf("%u drafts accepted; parking and drafting changed %s\n", (unsigned)n_accepted,
           is_right ? "no token" : "TOKENS");
    return is_right;
}

int main(void)
{
    static session sessions[N_REQUESTS];
    static threads all = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    member members[N_THREADS - 1];
    pluck_parallel parallel = {.run = run, .user = &all, .n_workers = N_THREADS};
    pluck_workspace *workspace = NULL;
    pluck_speculation *speculation = NULL;
    pluck_logprob top[N_REQUESTS * N_TOP];
    for (uint32_t i = 0; i + 1 < N_THREADS; i++) {
        members[i] = (member){&all, i + 1};
        if (pthread_create(&all.ids[i], NULL, work, &members[i]) != 0)
            return 1;
    }
    check(pluck_workspace_create(&workspace, N_VOCAB, &parallel, NULL, &err));
    check(pluck_speculation_create(&speculation, N_VOCAB, 7, 0, NULL, &err));
    for (size_t i = 0; i < N_REQUESTS; i++) {
        sessions[i] = (session){.kind = &kinds[i % N_KINDS], .seed = 1 + i / N_KINDS};
        sessions[i].sampler = create(&sessions[i], sessions[i].kind->json, workspace);
    }
    for (int at = 0; at < N_TOKENS + RESUME_AT; at++) {
        for (size_t i = 0; i < N_REQUESTS; i++) {
            session *s = &sessions[i];
            if (s->kind->changed_json && at == CHANGE_AT)
                reconfigure(s);
            if (s->kind->is_parked && at == PARK_AT)
                park(s);
            if (s->kind->is_parked && at == RESUME_AT)
                resume(s, workspace);
            if (s->kind->has_drafts && s->n_tokens < N_TOKENS)
                step_with_drafts(s, speculation);
        }
        step(sessions, workspace, top);
        if (at == 0)
            print_logprobs(&sessions[0], top);
    }
    for (size_t i = 0; i < N_KINDS; i++)
        print_text(&sessions[i]);
    bool is_right = is_as_promised(sessions);
    for (size_t i = 0; i < N_REQUESTS; i++)
        pluck_sampler_destroy(&sessions[i].sampler);
    pluck_speculation_destroy(&speculation);
    pluck_workspace_destroy(&workspace);
    pthread_mutex_lock(&all.lock);
    all.is_over = true;
    pthread_cond_broadcast(&all.changed);
    pthread_mutex_unlock(&all.lock);
    for (uint32_t i = 0; i + 1 < N_THREADS; i++)
        pthread_join(all.ids[i], NULL);
    return is_right ? 0 : 1;
}
