/* Whether a call of the host's may be, and what it is told if not. */
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

const char *halo_lua_describe(int code)
{
    static const char *const texts[] = {
        [-HALO_LUA_FAILED] = "it failed: see halo_lua_message()",
        [-HALO_LUA_NO_MEMORY] = "not enough memory",
        [-HALO_LUA_DEADLOCK] = "deadlock: tasks are alive, and nothing will wake them",
        [-HALO_LUA_EXPIRED] = "the time in all is over",
        [-HALO_LUA_RUNNING] = "the task has not ended yet",
        [-HALO_LUA_CANCELLED] = "the task was cancelled",
        [-HALO_LUA_CLOSED] = "halo has been closed",
        [-HALO_LUA_BUSY] = "the scheduler cannot run inside of itself, as in a finalizer",
        [-HALO_LUA_WRONG_THREAD] = "the runtime belongs to another thread",
        [-HALO_LUA_INVALID] = "an argument is invalid",
        [-HALO_LUA_FORKED] = "this process is a child of fork(), and the runtime its parent's",
    };
    const int last = (int)(sizeof(texts) / sizeof(texts[0])) - 1;

    if (code >= 0)
        return "no error";
    return code >= -last ? texts[-code] : "unknown";
}

const char *halo_lua_message(const struct halo_lua *halo)
{
    if (!halo)
        return halo_lua_describe(HALO_LUA_INVALID);
    return halo->message ? halo->message : halo_lua_describe(HALO_LUA_NO_MEMORY);
}

int halo_host_check_thread(const struct halo_lua *halo)
{
    if (!halo)
        return HALO_LUA_INVALID;
    return pthread_equal(halo->thread, pthread_self()) ? 0 : HALO_LUA_WRONG_THREAD;
}

int halo_host_check_open(const struct halo_lua *halo)
{
    int code = halo_host_check_thread(halo);
    if (code != 0)
        return code;
    if (halo->closed || halo->closing)
        return HALO_LUA_CLOSED;
    return halo->loop && halo_loop_is_forked(halo->loop) ? HALO_LUA_FORKED : 0;
}

int halo_host_check_idle(const struct halo_lua *halo)
{
    int code = halo_host_check_open(halo);
    return code == 0 && halo->scheduling ? HALO_LUA_BUSY : code;
}

int halo_host_check_call(const struct halo_lua *halo, lua_State *L, int nargs)
{
    if (!L || nargs < 0 || halo_lua_of(L) != halo || lua_gettop(L) <= nargs)
        return HALO_LUA_INVALID;
    return lua_isfunction(L, -(nargs + 1)) ? 0 : HALO_LUA_INVALID;
}

void halo_host_say(struct halo_lua *halo, const char *message)
{
    free(halo->message);
    halo->message = strdup(message);
}

void halo_host_set_message(struct halo_lua *halo, lua_State *L)
{
    bool is_text = lua_type(L, -1) == LUA_TSTRING;
    halo_host_say(halo, is_text ? lua_tostring(L, -1) : "the error is no text");
}

int halo_host_fail_on(struct halo_lua *halo, lua_State *L, int status)
{
    halo_host_set_message(halo, L);
    lua_pop(L, 1);
    return status == LUA_ERRMEM ? HALO_LUA_NO_MEMORY : HALO_LUA_FAILED;
}

int halo_host_fail(struct halo_lua *halo, int status)
{
    return halo_host_fail_on(halo, halo->L, status);
}
