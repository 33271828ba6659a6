/*
 * The report of an error: message and traceback, without the frames of halo itself. A frame of C
 * goes too where one of halo's own has called it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "sched.h"

static void push_error_text(lua_State *L, lua_State *co)
{
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (luaL_callmeta(L, -1, "__tostring")) {
        lua_remove(L, -2);
    } else if (!lua_isstring(L, -1)) {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, -1));
        lua_remove(L, -2);
    }
}

static bool is_own_frame(const char *line, size_t length)
{
    static const char own[] = "\t[halo]";
    return length >= sizeof(own) - 1 && memcmp(line, own, sizeof(own) - 1) == 0;
}

static bool is_c_frame(const char *line, size_t length)
{
    static const char c[] = "\t[C]:";
    return length >= sizeof(c) - 1 && memcmp(line, c, sizeof(c) - 1) == 0;
}

/* Copies the lines of a traceback that are the user's. */
static void copy_lines(char *to, const char *from)
{
    const char *held = NULL; /* a frame of C that waits for who called it */
    size_t held_length = 0;

    while (*from) {
        const char *end = strchr(from, '\n');
        size_t length = end ? (size_t)(end - from) + 1 : strlen(from);
        bool own = is_own_frame(from, length);
        if (held && !own) {
            memcpy(to, held, held_length);
            to += held_length;
        }
        held = NULL;
        if (is_c_frame(from, length)) {
            held = from;
            held_length = length;
        } else if (!own) {
            memcpy(to, from, length);
            to += length;
        }
        from += length;
    }
    while (to[-1] == '\n')
        to--;
    *to = '\0';
}

char *halo_traceback(lua_State *L, lua_State *co, const char *title)
{
    push_error_text(L, co);
    const char *message = lua_tostring(L, -1);
    luaL_traceback(L, co, NULL, 0);
    const char *traceback = lua_tostring(L, -1);

    size_t size = strlen(title) + strlen(message ? message : "") + strlen(traceback) + 8;
    char *report = malloc(size);
    if (report) {
        int used = snprintf(report, size, "%s: %s\n", title, message ? message : "");
        copy_lines(report + used, traceback);
    }
    lua_pop(L, 2);
    return report;
}

/* report(title, error): the text for an error that is being handled, as xpcall's handler. */
int halo_report(lua_State *L)
{
    const char *title = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    char *report = halo_traceback(L, L, title);
    lua_pushstring(L, report ? report : title);
    free(report);
    return 1;
}
