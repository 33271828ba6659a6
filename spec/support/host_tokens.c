/*
 * A host whose threads answer the calls of a script: host_tokens SCRIPT THREADS. The script has
 *
 *     answer(value)      the same value, from another thread
 *     later(seconds)     nothing, after that time, or when it is cancelled
 *     refuse(message)    raises the message
 *     at_once(value)     the value, completed before the call waits
 *     twice(value)       whether a token can be completed a second time
 *     nothing()          waits for ever, and counts that it was cancelled
 *     counts()           jobs made, freed, cancelled
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halo_lua.h"

enum kind { ANSWER, LATER, REFUSE };

struct job {
    enum kind kind;
    double number;
    char *text;
    halo_lua_token token;
    struct job *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static struct job *first, *last;
static bool over;
static atomic_int made, freed, cancelled;

static struct job *job_new(enum kind kind, double number, const char *text)
{
    struct job *job = calloc(1, sizeof(*job));
    job->kind = kind;
    job->number = number;
    job->text = text ? strdup(text) : NULL;
    atomic_fetch_add(&made, 1);
    return job;
}

static void job_free(struct job *job)
{
    free(job->text);
    free(job);
    atomic_fetch_add(&freed, 1);
}

static int push(lua_State *L, void *data)
{
    struct job job = *(struct job *)data;
    char text[100];

    snprintf(text, sizeof(text), "%s", job.text ? job.text : "");
    job_free(data);
    if (!L)
        return 0;
    if (job.kind == REFUSE)
        return luaL_error(L, "%s", text);
    if (job.kind == LATER)
        return 0;
    lua_pushnumber(L, job.number);
    return 1;
}

static void put(struct job *job)
{
    pthread_mutex_lock(&lock);
    if (last)
        last->next = job;
    else
        first = job;
    last = job;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
}

static void *work(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first && !over)
            pthread_cond_wait(&filled, &lock);
        struct job *job = first;
        if (!job)
            break;
        first = job->next;
        if (!first)
            last = NULL;
        pthread_mutex_unlock(&lock);
        if (job->kind == LATER)
            usleep((useconds_t)(job->number * 1e6));
        if (!halo_lua_complete(job->token, push, job))
            job_free(job);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void on_cancelled(halo_lua_token token, void *user)
{
    (void)token;
    (void)user;
    atomic_fetch_add(&cancelled, 1);
}

static int await_job(lua_State *L, struct job *job)
{
    halo_lua_token token = halo_lua_token_new(L, on_cancelled, NULL);
    job->token = token;
    put(job);
    return halo_lua_await(L, token);
}

static int answer(lua_State *L)
{
    return await_job(L, job_new(ANSWER, luaL_checknumber(L, 1), NULL));
}

static int later(lua_State *L)
{
    return await_job(L, job_new(LATER, luaL_checknumber(L, 1), NULL));
}

static int refuse(lua_State *L)
{
    return await_job(L, job_new(REFUSE, 0, luaL_checkstring(L, 1)));
}

static int at_once(lua_State *L)
{
    struct job *job = job_new(ANSWER, luaL_checknumber(L, 1), NULL);
    job->token = halo_lua_token_new(L, NULL, NULL);
    halo_lua_token token = job->token;
    halo_lua_complete(token, push, job);
    return halo_lua_await(L, token);
}

static int twice(lua_State *L)
{
    struct job *job = job_new(ANSWER, 0, NULL);
    halo_lua_token token = halo_lua_token_new(L, NULL, NULL);
    bool once = halo_lua_complete(token, push, job);
    bool again = halo_lua_complete(token, push, job);
    lua_pushboolean(L, once && !again);
    return 1;
}

static int nothing(lua_State *L)
{
    static halo_lua_token token;
    token = halo_lua_token_new(L, on_cancelled, NULL);
    return halo_lua_await(L, token);
}

static int counts(lua_State *L)
{
    lua_pushinteger(L, atomic_load(&made));
    lua_pushinteger(L, atomic_load(&freed));
    lua_pushinteger(L, atomic_load(&cancelled));
    return 3;
}

static int start(lua_State *L)
{
    static const luaL_Reg waiting[] = {{"answer", answer},   {"later", later},
                                       {"refuse", refuse},   {"at_once", at_once},
                                       {"nothing", nothing}, {NULL, NULL}};

    luaL_openlibs(L);
    luaopen_halo(L);
    for (const luaL_Reg *entry = waiting; entry->name; entry++) {
        halo_lua_push_function(L, entry->name, entry->func);
        lua_setglobal(L, entry->name);
    }
    lua_register(L, "twice", twice);
    lua_register(L, "counts", counts);
    if (luaL_loadfile(L, lua_touserdata(L, 1)) != 0 || halo_lua_run(halo_lua_of(L), L, 0, 0) != 0)
        return lua_error(L);
    return 0;
}

int main(int argc, char **argv)
{
    enum { THREADS_MAX = 16 };
    pthread_t threads[THREADS_MAX];
    int count = argc > 2 ? atoi(argv[2]) : 1, failed = 0;
    lua_State *L = luaL_newstate();

    for (int i = 0; i < count && i < THREADS_MAX; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    if (lua_cpcall(L, start, argv[1]) != 0) {
        printf("failed: %s\n", lua_tostring(L, -1));
        failed = 1;
    }
    halo_lua_close(halo_lua_of(L), -1);
    lua_close(L);
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&filled);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < count && i < THREADS_MAX; i++)
        pthread_join(threads[i], NULL);
    printf("made %d freed %d\n", atomic_load(&made), atomic_load(&freed));
    return failed;
}
