/*
 * The report of an error: message and traceback, without the frames of halo itself. Frames of C
 * go too where one of halo's own has called them. And what becomes of reports that nobody takes.
 */
#include "tasks/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "tasks/task.h"

#define NOTED "an error" /* the title of one that was noted on its way through a task */

/* ---- the text ------------------------------------------------------------------------------ */

static int describe(lua_State *L)
{
    if (!luaL_callmeta(L, 1, "__tostring"))
        lua_pushnil(L);
    return 1;
}

/* Describing the error may itself fail: then there is only its type. */
static void push_error_text(lua_State *L, lua_State *co)
{
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (lua_isstring(L, -1))
        return;
    lua_pushcfunction(L, describe);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) != 0 || !lua_isstring(L, -1)) {
        lua_pop(L, 1);
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, -1));
    }
    lua_remove(L, -2);
}

static bool is_own_frame(const char *line, size_t length)
{
    static const char own[] = "\t[halo]";
    return length >= sizeof(own) - 1 && memcmp(line, own, sizeof(own) - 1) == 0;
}

static bool is_c_frame(const char *line, size_t length)
{
    static const char c[] = "\t[C]:", fast[] = "\t[builtin#";
    return (length >= sizeof(c) - 1 && memcmp(line, c, sizeof(c) - 1) == 0) ||
           (length >= sizeof(fast) - 1 && memcmp(line, fast, sizeof(fast) - 1) == 0);
}

static void print_line(FILE *to, const char *line, int length)
{
    fprintf(to, "\n%.*s", length, line);
}

/*
 * Of a coroutine that an error of Lua's own has ended, LuaJIT no longer knows the line in its
 * innermost function: "\tfile: in function". But the message begins with it: "file:12: ".
 */
static void print_frame(FILE *to, const char *line, int length, const char *message)
{
    const char *rest = strstr(line, ": in ");
    size_t source = rest && rest < line + length ? (size_t)(rest - line) - 1 : 0;
    size_t digits = 0;

    if (source > 0 && strncmp(message, line + 1, source) == 0 && message[source] == ':')
        digits = strspn(message + source + 1, "0123456789");
    if (digits == 0)
        print_line(to, line, length);
    else
        fprintf(to, "\n%.*s:%.*s%.*s", (int)source + 1, line, (int)digits, message + source + 1,
                length - (int)source - 1, rest);
}

/*
 * Prints the lines of a traceback that are the user's, each behind a newline; the title that it
 * begins with, only where there are any.
 */
static void print_lines(FILE *to, const char *from, const char *message)
{
    const char *held = NULL; /* frames of C, until their caller is known */
    int held_length = 0, title_length = (int)strcspn(from, "\n");
    const char *title = from;
    bool titled = false;

    from += title_length;
    from += *from == '\n';
    while (*from) {
        int length = (int)strcspn(from, "\n");
        if (is_c_frame(from, (size_t)length)) {
            held_length = held ? (int)(from - held) + length : length;
            held = held ? held : from;
        } else if (is_own_frame(from, (size_t)length)) {
            held = NULL;
        } else {
            if (!titled)
                print_line(to, title, title_length);
            if (held)
                print_line(to, held, held_length);
            print_frame(to, from, length, message);
            titled = true;
            held = NULL;
        }
        from += length;
        from += *from == '\n';
    }
}

/* The failure behind this one, where its message is the same: it was joined and raised again. */
static const char *cause_of(const struct halo_task *task, const char *message)
{
    if (!task || !task->cause || !strstr(task->cause, message))
        return NULL;
    return task->cause;
}

/*
 * An error that was noted on its way through the same coroutine, where its frames reach as far as
 * these do: then it is all there is to say. Returns what stands behind its title.
 */
static const char *whole_story(const char *cause, const char *frames)
{
    const size_t title = sizeof(NOTED) - 1;
    const char *outermost = frames ? strrchr(frames, '\n') : NULL;

    if (!cause || strncmp(cause, NOTED, title) != 0)
        return NULL;
    return !outermost || strstr(cause, outermost) ? cause + title : NULL;
}

/* The user's lines of a traceback, or NULL where memory is out. */
static char *make_frames(const char *traceback, const char *message)
{
    size_t size;
    char *frames = NULL;
    FILE *to = open_memstream(&frames, &size);

    if (to) {
        print_lines(to, traceback, message);
        fclose(to);
    }
    return frames;
}

char *halo_traceback(lua_State *L, lua_State *co, const char *title, const struct halo_task *task,
                     int level)
{
    char *text = NULL;
    size_t size;

    push_error_text(L, co);
    luaL_traceback(L, co, NULL, level);
    const char *message = lua_isstring(L, -2) ? lua_tostring(L, -2) : "";
    const char *cause = cause_of(task, message);
    char *frames = make_frames(lua_tostring(L, -1), message);
    const char *noted = whole_story(cause, frames);
    FILE *report = open_memstream(&text, &size);
    if (report && noted) {
        fprintf(report, "%s%s", title, noted);
    } else if (report) {
        fprintf(report, "%s: %s%s", title, message, frames ? frames : "");
        if (task && task->spawned_source)
            fprintf(report, "\n\tspawned at %s:%d", task->spawned_source, task->spawned_line);
        if (cause)
            fprintf(report, "\nbecause %s", cause);
    }
    if (report)
        fclose(report);
    free(frames);
    lua_pop(L, 2);
    return text;
}

static int make_report(lua_State *L)
{
    struct halo_task *task = lua_touserdata(L, 1);
    char title[48];

    snprintf(title, sizeof(title), "halo: task %llu failed", (unsigned long long)task->id);
    task->report = halo_traceback(L, task->co, title, task, 0);
    return 0;
}

void halo_report_make(lua_State *L, struct halo_task *task)
{
    if (lua_cpcall(L, make_report, task) != 0)
        lua_pop(L, 1);
}

void halo_report_message(struct halo_task *task, const char *message)
{
    free(task->report);
    if (asprintf(&task->report, "halo: task %llu failed: %s", (unsigned long long)task->id,
                 message) < 0)
        task->report = NULL;
}

/* ---- failures that somebody takes, or nobody ----------------------------------------------- */

/* A failure that is to be printed, in the order in which they happened. */
struct halo_report {
    struct halo_report *next;
    uint64_t order;
    char *text;
};

void halo_report_remember(struct halo_lua *lua, struct halo_task *task)
{
    task->failed_order = lua->next_failure++;
    task->failed_next = lua->failed;
    task->failed_link = &lua->failed;
    if (lua->failed)
        lua->failed->failed_link = &task->failed_next;
    lua->failed = task;
    lua->failed_lately = true;
}

void halo_report_claim(struct halo_task *task)
{
    if (!task->failed_link)
        return;
    *task->failed_link = task->failed_next;
    if (task->failed_next)
        task->failed_next->failed_link = task->failed_link;
    task->failed_link = NULL;
}

void halo_report_lose(struct halo_lua *lua, struct halo_task *task)
{
    struct halo_report **link = &lua->lost;
    struct halo_report *report = malloc(sizeof(*report));

    halo_report_claim(task);
    lua->failures++;
    if (!report)
        return;
    *report = (struct halo_report){.order = task->failed_order, .text = task->report};
    task->report = NULL;
    while (*link && (*link)->order < report->order)
        link = &(*link)->next;
    report->next = *link;
    *link = report;
}

void halo_report_tell(struct halo_task *task, const struct halo_task *failed)
{
    if (!failed->report)
        return;
    free(task->cause);
    task->cause = strdup(failed->report);
}

/* Puts more text behind one that was malloc'ed; without memory it stays as it is. */
static void append(char **text, const char *format, const char *more)
{
    char *joined;
    if (*text && asprintf(&joined, format, *text, more) >= 0) {
        free(*text);
        *text = joined;
    }
}

void halo_report_append(struct halo_task *first, const struct halo_task *other)
{
    if (other->report)
        append(&first->report, "%s\nand also %s", other->report);
}

void halo_report_append_count(struct halo_task *first, unsigned more)
{
    char count[16];
    snprintf(count, sizeof(count), "%u", more);
    append(&first->report, "%s\nand %s more", count);
}

/* Without its title, which has the task's number in it. */
static bool same_failure(const struct halo_report *a, const struct halo_report *b)
{
    const char *left = a->text ? strstr(a->text, " failed: ") : NULL;
    const char *right = b && b->text ? strstr(b->text, " failed: ") : NULL;
    return left && right && strcmp(left, right) == 0;
}

static void print(struct halo_lua *lua, const struct halo_report *report, unsigned alike)
{
    const char *text = report->text ? report->text : "halo: a task failed";
    char *joined = NULL;

    if (alike > 0 && asprintf(&joined, "%s\n\tand %u more in the same way", text, alike) >= 0)
        text = joined;
    if (lua->options.on_error)
        lua->options.on_error(lua, text, lua->options.user);
    else
        fprintf(stderr, "%s\n", text);
    free(joined);
}

void halo_report_lost(struct halo_lua *lua)
{
    unsigned alike = 0;

    if (!lua->lost)
        return;
    if (lua->give_way)
        lua->give_way(true);
    fflush(stdout);
    while (lua->lost) {
        struct halo_report *report = lua->lost;
        lua->lost = report->next;
        if (same_failure(report, lua->lost)) {
            alike++;
        } else {
            print(lua, report, alike);
            alike = 0;
        }
        free(report->text);
        free(report);
    }
    if (lua->give_way)
        lua->give_way(false);
}

void halo_report_all(struct halo_lua *lua)
{
    while (lua->failed)
        halo_report_lose(lua, lua->failed);
    halo_report_lost(lua);
}

/* ---- what Lua calls ------------------------------------------------------------------------ */

/* report(title, error): the text for an error that is being handled, as xpcall's handler. */
static int report_error(lua_State *L)
{
    const char *title = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    char *report = halo_traceback(L, L, title, halo_lua_self(L)->task, 1);
    lua_pushstring(L, report ? report : title);
    free(report);
    return 1;
}

static int take_note(lua_State *L)
{
    struct halo_task *task = lua_touserdata(L, 2);
    lua_settop(L, 1);
    char *report = halo_traceback(L, L, NOTED, task, 2);
    free(task->cause);
    task->cause = report;
    return 0;
}

static int take_further_note(lua_State *L)
{
    struct halo_task *task = lua_touserdata(L, 2);
    lua_settop(L, 1);
    char *report = halo_traceback(L, L, NOTED, NULL, 2);
    append(&task->cause, "%s\nand also %s", report ? report : NOTED);
    free(report);
    return 0;
}

/*
 * note(error): as xpcall's handler, keeps the traceback for the report of the task that fails by
 * it. It works under lua_pcall(), since an error of its own would take the place of the program's.
 */
static int note_by(lua_State *L, lua_CFunction take)
{
    struct halo_lua *lua = halo_lua_self(L);
    lua_settop(L, 1);
    if (!lua->task || halo_is_cancellation(L, lua, L))
        return 1;
    lua_pushcfunction(L, take);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, lua->task);
    lua_pcall(L, 2, 0, 0);
    lua_settop(L, 1);
    return 1;
}

static int note(lua_State *L)
{
    return note_by(L, take_note);
}

/* note_also(error): the same, for an error that is reported with the one noted before. */
static int note_also(lua_State *L)
{
    return note_by(L, take_further_note);
}

static const luaL_Reg functions[] = {
    {"report", report_error},
    {"note", note},
    {"note_also", note_also},
    {NULL, NULL},
};

void halo_open_report(lua_State *L)
{
    halo_register(L, functions);
}
