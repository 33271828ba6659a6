#include "script.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "halo_lua.h"

#define COUNTERS           16384 /* a power of two */
#define SIZE_MAX_OF_SCRIPT (1u << 16)

/*
 * libFuzzer looks at these beside its own: which lines of Lua came behind which. An input that
 * takes a new way through Lua is one to keep, as one that does through C is.
 */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static double lines; /* that were run for this input */

static void count_line(lua_State *L, lua_Debug *debug)
{
    static size_t before;

    lines++;
    lua_getinfo(L, "S", debug);
    size_t here = ((size_t)(uintptr_t)debug->source >> 4) * 31 + (size_t)debug->currentline * 7;
    uint8_t *counter = &counters[(here ^ before) & (COUNTERS - 1)];
    *counter += *counter < UINT8_MAX;
    before = here >> 1;
}

/* Work is counted in lines: a time would depend on the machine. */
static int lines_run(lua_State *L)
{
    lua_pushnumber(L, lines);
    return 1;
}

void script_read(struct script *script, const char *path)
{
    FILE *file = fopen(path, "rb");

    *script = (struct script){.path = path, .text = malloc(SIZE_MAX_OF_SCRIPT)};
    if (!file || !script->text)
        fuzz_fail("cannot read %s: it is run in the directory of the sources", path);
    script->size = fread(script->text, 1, SIZE_MAX_OF_SCRIPT, file);
    fclose(file);
}

static const char *message(lua_State *L)
{
    return lua_tostring(L, -1) ? lua_tostring(L, -1) : "an error that is no text";
}

lua_State *script_open(const struct script *script)
{
    char name[256];
    lua_State *L = luaL_newstate();

    if (!L)
        fuzz_fail("no memory");
    luaL_openlibs(L);
    /* Compiled code calls no hook. */
    if (luaL_dostring(L, "jit.off() jit.flush()") != 0)
        fuzz_fail("%s", message(L));
    luaopen_halo(L);
    lua_settop(L, 0);
    lua_pushcfunction(L, lines_run);
    lua_setglobal(L, "lines_run");
    snprintf(name, sizeof(name), "@%s", script->path);
    if (luaL_loadbuffer(L, script->text, script->size, name) != 0 || lua_pcall(L, 0, 1, 0) != 0)
        fuzz_fail("%s", message(L));
    lua_sethook(L, count_line, LUA_MASKLINE, 0);
    return L;
}

void script_run(lua_State *L, const uint8_t *data, size_t size)
{
    lines = 0;
    lua_pushvalue(L, 1);
    lua_pushlstring(L, (const char *)data, size);
    if (halo_lua_run(halo_lua_of(L), L, 1, 0) != 0)
        fuzz_fail("%s", message(L));
    lua_settop(L, 1);
}

void script_close(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    halo_lua_close(halo_lua_of(L), -1);
    lua_close(L);
}
