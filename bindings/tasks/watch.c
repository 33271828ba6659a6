#include "tasks/watch.h"

#include "args.h"

#define INSTRUCTIONS 1000      /* between two looks at the clock */
#define GRACE_NS     100000000 /* from one step of giving up to the next */
#define NS_PER_MS    1000000

/* ---- a task that holds the loop ------------------------------------------------------------ */

/* How long ago what runs now should have ended; 0 where it need not. */
static uint64_t lateness_ns(const struct halo_watch *watch, uint64_t now_ns, bool *over)
{
    uint64_t held_ns = now_ns - watch->since_ns;
    uint64_t late_ns = held_ns > watch->stop_ns ? held_ns - watch->stop_ns : 0;

    *over = watch->expires_ns && now_ns >= watch->expires_ns;
    if (*over && late_ns <= now_ns - watch->expires_ns)
        return now_ns - watch->expires_ns + 1;
    return late_ns;
}

static void stop(lua_State *L, const struct halo_watch *watch, bool over, bool own)
{
    if (over)
        lua_pushliteral(L, "stopped: the time in all is over");
    else
        lua_pushfstring(L, "stopped: the task has held the loop for more than %d ms",
                        (int)(watch->stop_ns / NS_PER_MS));
    if (own) {
        halo_error(L, lua_tostring(L, -1));
        return;
    }
    luaL_where(L, 0);
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_error(L);
}

/*
 * Between instructions. What is to be stopped is stopped at each one of the program's own, so that
 * no pcall() around them holds that off. halo's own functions may come to their end: but not those
 * that will not, given as much time again.
 */
static void look(lua_State *L, lua_Debug *ar)
{
    struct halo_lua *lua = halo_lua_of(L);
    bool over;

    (void)ar;
    if (!lua || !lua->task)
        return;
    struct halo_watch *watch = &lua->watch;
    uint64_t late_ns = lateness_ns(watch, halo_now_ns(), &over);
    if (late_ns == 0)
        return;
    if (!watch->stopping) {
        watch->stopping = true;
        lua_sethook(L, look, LUA_MASKCOUNT, 1);
    }
    bool own = halo_is_in_own_code(L);
    if (!own || late_ns > (watch->stop_ns > GRACE_NS ? watch->stop_ns : GRACE_NS))
        stop(L, watch, over, own);
}

void halo_watch_start(struct halo_lua *lua)
{
    lua->watch.since_ns = halo_now_ns();
}

void halo_watch_stop(lua_State *L, struct halo_lua *lua)
{
    if (lua->watch.stopping)
        lua_sethook(L, look, LUA_MASKCOUNT, INSTRUCTIONS);
    lua->watch.stopping = false;
}

void halo_watch_open(lua_State *L, struct halo_lua *lua)
{
    const struct halo_lua_options *options = &lua->options;

    lua->watch.stop_ns = (uint64_t)options->stop_ms * NS_PER_MS;
    if (options->max_time_ms)
        lua->watch.expires_ns = halo_now_ns() + (uint64_t)options->max_time_ms * NS_PER_MS;
    if (options->stop_ms)
        lua_sethook(L, look, LUA_MASKCOUNT, INSTRUCTIONS);
}

/* ---- the time in all ----------------------------------------------------------------------- */

bool halo_watch_is_over(const struct halo_lua *lua)
{
    const struct halo_watch *watch = &lua->watch;
    return watch->expires_ns && watch->expired != HALO_EXPIRY_GIVEN_UP &&
           halo_now_ns() >= watch->expires_ns;
}

int64_t halo_watch_bound(const struct halo_lua *lua, int64_t timeout_ns)
{
    uint64_t expires_ns = lua->watch.expires_ns;

    if (!expires_ns || lua->watch.expired == HALO_EXPIRY_GIVEN_UP)
        return timeout_ns;
    uint64_t now_ns = halo_now_ns();
    int64_t left_ns = expires_ns > now_ns ? (int64_t)(expires_ns - now_ns) : 0;
    return timeout_ns < 0 || left_ns < timeout_ns ? left_ns : timeout_ns;
}

void halo_watch_look(lua_State *L, struct halo_lua *lua)
{
    struct halo_watch *watch = &lua->watch;

    if (!halo_watch_is_over(lua))
        return;
    watch->expired++;
    watch->expires_ns += GRACE_NS;
    lua->interrupts = watch->expired; /* from the second one on, no shield holds it off */
    halo_task_cancel_all(L, lua);
}
