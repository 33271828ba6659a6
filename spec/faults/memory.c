/* Memory that runs out: C's own (--wrap, see the Makefile) and the Lua state's. */
#include <errno.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

static bool fails(enum faults_kind kind, const char *name)
{
    return faults_next(kind, FAULTS_ANY_OP, name, "") != 0;
}

static void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

void *REAL(malloc)(size_t size);
void *WRAP(malloc)(size_t size)
{
    return fails(FAULTS_ALLOCATION, "malloc") ? refuse() : REAL(malloc)(size);
}

void *REAL(calloc)(size_t count, size_t size);
void *WRAP(calloc)(size_t count, size_t size)
{
    return fails(FAULTS_ALLOCATION, "calloc") ? refuse() : REAL(calloc)(count, size);
}

void *REAL(realloc)(void *memory, size_t size);
void *WRAP(realloc)(void *memory, size_t size)
{
    return fails(FAULTS_ALLOCATION, "realloc") ? refuse() : REAL(realloc)(memory, size);
}

void *REAL(mmap)(void *at, size_t size, int protection, int flags, int fd, long offset);
void *WRAP(mmap)(void *at, size_t size, int protection, int flags, int fd, long offset)
{
    bool own = fd == -1;
    if (!own || !fails(FAULTS_ALLOCATION, "mmap"))
        return REAL(mmap)(at, size, protection, flags, fd, offset);
    errno = ENOMEM;
    return (void *)-1;
}

char *REAL(strdup)(const char *text);
char *WRAP(strdup)(const char *text)
{
    return fails(FAULTS_ALLOCATION, "strdup") ? refuse() : REAL(strdup)(text);
}

int WRAP(asprintf)(char **text, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = fails(FAULTS_ALLOCATION, "asprintf") ? -1 : vasprintf(text, format, values);
    va_end(values);
    return length;
}

static void *allocate(void *user, void *memory, size_t before, size_t size)
{
    (void)user;
    if (size == 0) {
        free(memory);
        return NULL;
    }
    return size > before && fails(FAULTS_LUA, "lua") ? NULL : REAL(realloc)(memory, size);
}

static lua_State *state;

static void see_instruction(lua_State *L, lua_Debug *ar)
{
    (void)L;
    (void)ar;
}

/*
 * LuaJIT writes its message about memory to the top of the stack that it remembers, which the
 * interpreter does not keep up to date: it may be in the middle of a frame. Before each instruction
 * that is looked at by a hook it does.
 */
void faults_watch_instructions(bool watched)
{
    lua_sethook(state, watched ? see_instruction : NULL, watched ? LUA_MASKCOUNT : 0, watched);
}

/* The command's state. */
lua_State *WRAP(luaL_newstate)(void)
{
    state = lua_newstate(allocate, NULL);
    return state;
}
