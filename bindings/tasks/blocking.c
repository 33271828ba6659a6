#include "tasks/blocking.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "tasks/task.h"

#define LINE_BYTES    512
#define STRETCHES_MAX 256 /* that are told apart; further ones are only counted */

/* A line of the user's; 0 where there is none. */
struct place {
    char source[LUA_IDSIZE];
    int line;
};

/* From where a task was resumed to where it waited, or a call. */
struct stretch {
    struct place from, to;
    const char *call; /* its name, or NULL */
    unsigned more;    /* times, after the first */
    uint64_t most_ns;
};

struct halo_blocking {
    uint64_t limit_ns;
    uint64_t began_ns, cpu_ns; /* of the task that is running */
    uint64_t own_ns;           /* of that, in halo's calls */
    struct place from;
    unsigned count, untold;
    struct stretch stretches[STRETCHES_MAX];
};

/* ---- places -------------------------------------------------------------------------------- */

static void set_place(struct place *place, const char *source, int line)
{
    snprintf(place->source, sizeof(place->source), "%s", source);
    place->line = line;
}

/* The innermost line of the user's. Returns its level, or -1. */
static int find_place(lua_State *co, struct place *place)
{
    lua_Debug ar;

    place->source[0] = '\0';
    place->line = 0;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !halo_is_own_source(ar.source)) {
            set_place(place, ar.short_src, ar.currentline);
            return level;
        }
    }
    return -1;
}

/* "file:line", or other words where that is not known. */
static const char *say_place(const struct place *place, const char *otherwise, char *text,
                             size_t size)
{
    if (place->line == 0)
        return otherwise;
    snprintf(text, size, "%s:%d", place->source, place->line);
    return text;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->line == b->line && strcmp(a->source, b->source) == 0;
}

/* ---- telling ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void tell(struct halo_lua *lua, const char *format,
                                                       ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    halo_log(lua, line);
}

static double ms_of(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* Whether this stretch is a new one, to be told now. It is counted otherwise. */
static bool is_new(struct halo_blocking *blocking, const struct stretch *found)
{
    for (unsigned i = 0; i < blocking->count; i++) {
        struct stretch *known = &blocking->stretches[i];
        if (known->call != found->call || !same_place(&known->from, &found->from) ||
            !same_place(&known->to, &found->to))
            continue;
        known->more++;
        if (found->most_ns > known->most_ns)
            known->most_ns = found->most_ns;
        return false;
    }
    if (blocking->count == STRETCHES_MAX) {
        blocking->untold++;
        return false;
    }
    blocking->stretches[blocking->count++] = *found;
    return true;
}

static void tell_more(struct halo_lua *lua, const struct stretch *stretch)
{
    char from[LUA_IDSIZE + 16], to[LUA_IDSIZE + 16], times[24] = "once";

    if (stretch->more > 1)
        snprintf(times, sizeof(times), "%u times", stretch->more);
    if (stretch->call)
        tell(lua, "%s waited on the spot at %s %s more, for %.1f ms at most", stretch->call,
             say_place(&stretch->to, "?", to, sizeof(to)), times, ms_of(stretch->most_ns));
    else
        tell(lua, "the loop was held from %s to %s %s more, for %.0f ms at most",
             say_place(&stretch->from, "a start", from, sizeof(from)),
             say_place(&stretch->to, "an end", to, sizeof(to)), times, ms_of(stretch->most_ns));
}

void halo_blocking_end(struct halo_lua *lua)
{
    struct halo_blocking *blocking = lua->blocking;

    if (!blocking)
        return;
    for (unsigned i = 0; i < blocking->count; i++)
        if (blocking->stretches[i].more > 0)
            tell_more(lua, &blocking->stretches[i]);
    if (blocking->untold > 0)
        tell(lua, "and at further places %u times", blocking->untold);
    lua->blocking = NULL;
    free(blocking);
}

/* ---- tasks --------------------------------------------------------------------------------- */

/* What this thread has computed. */
static uint64_t cpu_now_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void halo_blocking_resume(struct halo_lua *lua, const struct halo_task *task)
{
    struct halo_blocking *blocking = lua->blocking;

    find_place(task->current, &blocking->from);
    blocking->own_ns = 0;
    blocking->cpu_ns = cpu_now_ns();
    blocking->began_ns = halo_now_ns();
}

bool halo_blocking_warn(struct halo_lua *lua, uint32_t limit_ms)
{
    bool begins = !lua->blocking;

    if (begins)
        lua->blocking = calloc(1, sizeof(*lua->blocking));
    if (!lua->blocking)
        return false;
    lua->blocking->limit_ns = (uint64_t)limit_ms * 1000000;
    if (begins && lua->task)
        halo_blocking_resume(lua, lua->task);
    return true;
}

static void tell_task(struct halo_lua *lua, const struct halo_task *task,
                      const struct stretch *stretch, uint64_t cpu_ns)
{
    char from[LUA_IDSIZE + 16], to[LUA_IDSIZE + 16], spawned[LUA_IDSIZE + 32] = "";

    if (task->spawned_source)
        snprintf(spawned, sizeof(spawned), " (spawned at %s:%d)", task->spawned_source,
                 task->spawned_line);
    tell(lua, "task %llu%s held the loop for %.0f ms, computing for %.0f, from %s to %s",
         (unsigned long long)task->id, spawned, ms_of(stretch->most_ns), ms_of(cpu_ns),
         say_place(&stretch->from, "its start", from, sizeof(from)),
         say_place(&stretch->to, "its end", to, sizeof(to)));
}

void halo_blocking_leave(struct halo_lua *lua, const struct halo_task *task, int status)
{
    struct halo_blocking *blocking = lua->blocking;
    struct stretch stretch = {.from = blocking->from};
    stretch.most_ns = halo_now_ns() - blocking->began_ns - blocking->own_ns;
    if (stretch.most_ns < blocking->limit_ns)
        return;
    if (status == LUA_YIELD)
        find_place(task->current, &stretch.to);
    uint64_t cpu_ns = cpu_now_ns() - blocking->cpu_ns;
    if (cpu_ns > stretch.most_ns)
        cpu_ns = stretch.most_ns;
    if (is_new(blocking, &stretch))
        tell_task(lua, task, &stretch, cpu_ns);
}

/* ---- calls --------------------------------------------------------------------------------- */

/* The C function that has called back, above this level: of Lua's own, pcall can be suspended. */
static const char *find_caller(lua_State *L, int level)
{
    lua_Debug ar;

    for (level++; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sn", &ar);
        if (*ar.what == 'C' && ar.name && strcmp(ar.name, "pcall") != 0 &&
            strcmp(ar.name, "xpcall") != 0)
            return ar.name;
    }
    return NULL;
}

void halo_blocking_called(lua_State *L, struct halo_lua *lua, const char *name, uint64_t began_ns,
                          bool on_the_spot)
{
    struct halo_blocking *blocking = lua->blocking;
    struct stretch stretch = {.call = name};
    char place[LUA_IDSIZE + 16];

    stretch.most_ns = halo_now_ns() - began_ns;
    blocking->own_ns += stretch.most_ns;
    if (!on_the_spot || lua->tasks == 0)
        return;
    int level = find_place(L, &stretch.to);
    if (!is_new(blocking, &stretch))
        return;
    const char *caller = lua->task ? find_caller(L, level) : NULL;
    tell(lua, "%s waited on the spot at %s, for %.1f ms: nothing can be suspended %s%s", name,
         say_place(&stretch.to, "?", place, sizeof(place)), ms_of(stretch.most_ns),
         !lua->task ? "outside of a task"
         : caller   ? "inside of "
                    : "there",
         caller ? caller : "");
}
