/*
 * What halo_lua.h promises of tasks, callbacks and limits: `host_tasks CASE` tries it, and prints
 * "as expected" or what was not so.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <time.h>

#include "expect.h"
#include "halo_lua.h"

#define PATIENCE 2000

static struct halo_lua *halo;
static lua_State *L;
static char errors[8192], lines[4096], printed[4096];
static int ended;

static void append(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);
    snprintf(to + used, size - used, "%s\n", text);
}

static void on_error(struct halo_lua *of, const char *text, void *user)
{
    EXPECT(of == halo && user == &ended);
    append(errors, sizeof(errors), text);
}

static void on_log(struct halo_lua *of, const char *line, void *user)
{
    EXPECT(of == halo && user == &ended);
    append(lines, sizeof(lines), line);
}

static void on_print(struct halo_lua *of, const char *text, size_t length, void *user)
{
    EXPECT(of == halo && user == &ended && strlen(text) == length);
    append(printed, sizeof(printed), text);
}

static void begin(struct halo_lua_options options)
{
    options.user = &ended;
    options.on_error = on_error;
    options.on_log = on_log;
    options.on_print = on_print;
    EXPECT_EQUAL(0, halo_lua_new(&halo, NULL, &options));
    L = halo_lua_state(halo);
    EXPECT(L && halo_lua_of(L) == halo);
}

static struct halo_lua_task *spawn(const char *code)
{
    struct halo_lua_task *task;
    char text[2000];

    snprintf(text, sizeof(text), "local halo, fs = require 'halo', require 'halo.fs' %s", code);
    int status = halo_lua_spawn_text(halo, text, strlen(text), "=script", &task);
    if (status != 0)
        printf("%s\n", halo_lua_message(halo));
    EXPECT_EQUAL(0, status);
    return task;
}

/* Steps until no task is alive. Returns the last step's. */
static int finish(void)
{
    int alive = 1;
    for (int i = 0; i < PATIENCE && alive > 0; i++)
        alive = halo_lua_step(halo, 100);
    return alive;
}

static void end(void)
{
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

/* Runs a script to its end, and gives its error's text, or its first result's. */
static const char *outcome_of(const char *code)
{
    struct halo_lua_task *task = spawn(code);

    finish();
    lua_settop(L, 0);
    halo_lua_task_results(task, L);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    return lua_tostring(L, 1) ? lua_tostring(L, 1) : "";
}

/* ---- tasks --------------------------------------------------------------------------------- */

static void results(void)
{
    begin((struct halo_lua_options){0});
    struct halo_lua_task *task = spawn("halo.sleep(0.01) return 1, nil, 'three'");
    EXPECT_EQUAL(HALO_LUA_TASK_READY, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_RUNNING, halo_lua_task_results(task, L));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(task));
    EXPECT_EQUAL(0, finish());
    EXPECT_EQUAL(HALO_LUA_TASK_ENDED, halo_lua_task_status(task));
    for (int i = 0; i < 2; i++) {
        EXPECT_EQUAL(3, halo_lua_task_results(task, L));
        EXPECT(lua_gettop(L) == 3 && lua_tonumber(L, 1) == 1 && lua_isnil(L, 2));
        EXPECT(strcmp(lua_tostring(L, 3), "three") == 0);
        lua_settop(L, 0);
    }
    EXPECT_EQUAL(0, halo_lua_task_cancel(task)); /* too late */
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    task = spawn("local t = {} for i = 1, 3000 do t[i] = i end return unpack(t)");
    EXPECT_EQUAL(0, finish());
    EXPECT_EQUAL(3000, halo_lua_task_results(task, L));
    EXPECT_EQUAL(3000, lua_gettop(L));
    lua_settop(L, 0);
    halo_lua_task_release(task);
    end();
}

static void failure(void)
{
    begin((struct halo_lua_options){0});
    struct halo_lua_task *task = spawn("error 'boom'");
    EXPECT_EQUAL(0, finish());
    EXPECT_EQUAL(HALO_LUA_TASK_FAILED, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_task_results(task, L));
    EXPECT(strcmp(lua_tostring(L, -1), "script:1: boom") == 0 && lua_gettop(L) == 1);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT_EQUAL(0, halo_lua_failures(halo));
    /* Without a handle, or when it was given back before, halo reports it. */
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, "error 'alone'", 13, "=script", NULL));
    EXPECT_EQUAL(0, halo_lua_task_release(spawn("halo.sleep(0) error 'let go'")));
    EXPECT_EQUAL(0, finish());
    lua_gc(L, LUA_GCCOLLECT, 0);
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(2, halo_lua_failures(halo));
    EXPECT(strstr(errors, "failed: script:1: alone\nstack traceback:\n"));
    EXPECT(strstr(errors, "\n\tscript:1: in main chunk"));
    EXPECT(strstr(errors, "failed: script:1: let go\n") && !strstr(errors, "boom"));
    halo_lua_free(halo);
    /* What is run is a task as well, whose error is the message. */
    begin((struct halo_lua_options){0});
    EXPECT_EQUAL(0, luaL_loadstring(L, "error('run', 0)"));
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_run(halo, L, 0, 0));
    EXPECT(strcmp(lua_tostring(L, -1), "run") == 0 && strcmp(halo_lua_message(halo), "run") == 0);
    EXPECT_EQUAL(0, luaL_loadstring(L, "error({})"));
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_run(halo, L, 0, 0));
    EXPECT(lua_istable(L, -1) && strcmp(halo_lua_message(halo), "the error is no text") == 0);
    halo_lua_free(halo);
}

static void cancel(void)
{
    begin((struct halo_lua_options){0});
    struct halo_lua_task *one = spawn("halo.sleep(1000)"), *never = spawn("return 1");
    struct halo_lua_task *other = spawn("halo.sleep(0.05) return 'on'");
    EXPECT_EQUAL(1, halo_lua_task_cancel(never)); /* before it has begun */
    EXPECT_EQUAL(2, halo_lua_step(halo, 0));
    EXPECT_EQUAL(1, halo_lua_task_cancel(one));
    EXPECT_EQUAL(0, halo_lua_timeout_ms(halo));
    EXPECT_EQUAL(0, finish());
    EXPECT_EQUAL(HALO_LUA_TASK_CANCELLED, halo_lua_task_status(one));
    EXPECT_EQUAL(HALO_LUA_CANCELLED, halo_lua_task_results(one, L));
    EXPECT_EQUAL(HALO_LUA_CANCELLED, halo_lua_task_results(never, L));
    EXPECT_EQUAL(2, lua_gettop(L));
    EXPECT_EQUAL(1, halo_lua_task_results(other, L));
    halo_lua_task_release(one);
    halo_lua_task_release(never);
    halo_lua_task_release(other);
    end();
}

static void let_go(struct halo_lua_task *task, void *user)
{
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    *(double *)user += lua_tonumber(L, -1);
    lua_settop(L, 0);
    ended++;
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_step(halo, 0));
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_close(halo, 0));
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_free(halo));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    if (ended > 3)
        return;
    struct halo_lua_task *next = spawn("return 10");
    EXPECT_EQUAL(0, halo_lua_task_at_end(next, let_go, user));
}

static void fail_here(struct halo_lua_task *task, void *user)
{
    (void)task;
    (void)user;
    EXPECT(!"it was replaced, or its handle was given back");
}

static void at_end(void)
{
    double sum = 0;

    begin((struct halo_lua_options){0});
    struct halo_lua_task *task = spawn("return 1"), *gone = spawn("return 2");
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, fail_here, NULL));
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, let_go, &sum));
    EXPECT_EQUAL(0, halo_lua_task_at_end(gone, fail_here, NULL));
    EXPECT_EQUAL(0, halo_lua_task_release(gone));
    EXPECT_EQUAL(0, finish());
    EXPECT(ended == 4 && sum == 31);
    task = spawn("return 5");
    EXPECT_EQUAL(0, finish());
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, NULL, NULL));
    halo_lua_task_release(task);
    end();
}

static int runs;

static void count_run(struct halo_lua_task *task, void *user)
{
    (void)task;
    (void)user;
    runs++;
}

/* It was ended already: the callback comes at once. Its state may go before the handle does. */
static void late(void)
{
    begin((struct halo_lua_options){0});
    struct halo_lua_task *task = spawn("return 5"), *open = spawn("halo.sleep(1000)");
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, count_run, NULL));
    EXPECT_EQUAL(0, halo_lua_task_at_end(open, count_run, NULL));
    EXPECT_EQUAL(1, runs);
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(open));
    EXPECT_EQUAL(HALO_LUA_RUNNING, halo_lua_task_results(open, L));
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_cancel(open));
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_at_end(open, count_run, NULL));
    EXPECT_EQUAL(0, halo_lua_free(halo));
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_results(task, L));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT_EQUAL(0, halo_lua_task_release(open));
    EXPECT_EQUAL(1, runs);
}

static void texts(void)
{
    begin((struct halo_lua_options){0});
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_spawn_text(halo, "x = = 1", 7, "=text", NULL));
    EXPECT(strstr(halo_lua_message(halo), "text:1: unexpected symbol"));
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_spawn_text(halo, "\033LJ\2", 4, "=text", NULL));
    EXPECT(strstr(halo_lua_message(halo), "attempt to load"));
    halo_lua_task_release(spawn("print('a', 1, nil, true) print() io.stderr:write ''"));
    EXPECT_EQUAL(0, finish());
    EXPECT(strcmp(printed, "a\t1\tnil\ttrue\n\n") == 0);
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, "newproxy(true)", 14, "=text", NULL));
    EXPECT(luaL_dostring(L, "getmetatable(newproxy(true)).__gc = function() error 'late' end") ==
           0);
    struct halo_lua_task *failing = spawn("error 'here'");
    halo_lua_spawn_text(halo, "error 'lost'", 12, "=text", NULL);
    finish();
    halo_lua_task_release(failing);
    EXPECT(strstr(lines, "error in a finalizer: "));
    end();
}

/* ---- limits -------------------------------------------------------------------------------- */

static void tasks_limited(void)
{
    begin((struct halo_lua_options){.max_tasks = 10});
    EXPECT(strcmp(outcome_of("for i = 1, 20 do halo.spawn(halo.sleep, 0.01) end"),
                  "script:1: too many tasks: 10 are alive, and no more may be") == 0);
    EXPECT(strcmp(outcome_of("halo.map({1, 2, 3}, halo.yield) return 'fits'"), "fits") == 0);
    EXPECT(
        strcmp(outcome_of("halo.configure { max_tasks = 11 }"),
               "script:1: bad argument #1 to 'configure' (max_tasks can be at most 10, which the "
               "host has given)") == 0);
    for (int i = 0; i < 10; i++)
        halo_lua_task_release(spawn("halo.sleep(0)"));
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_spawn_text(halo, "", 0, "=text", NULL));
    EXPECT(strstr(halo_lua_message(halo), "too many tasks: 10 are alive"));
    EXPECT_EQUAL(0, finish());
    end();
}

static void bytes_limited(void)
{
    begin((struct halo_lua_options){.max_bytes = 262144});
    EXPECT(strcmp(outcome_of("halo.buffer(262145)"),
                  "script:1: bad argument #1 to 'buffer' (a number "
                  "from 0 to 262144 expected, got 262145)") == 0);
    EXPECT(strstr(outcome_of("fs.open('/dev/zero'):read(262145)"), "script:1: bad argument #1"));
    EXPECT(strcmp(outcome_of("return select(3, fs.readfile '/dev/zero')"), "EFBIG") == 0);
    EXPECT(strcmp(outcome_of("return select(3, fs.open('/dev/zero'):read 'a')"), "EFBIG") == 0);
    EXPECT(strcmp(outcome_of("local p = os.tmpname() fs.writefile(p, ('x'):rep(262145)) local f = "
                             "fs.open(p) local _, _, a = fs.readfile(p) local _, _, b = f:read 'a' "
                             "f:seek('set', 1) local c = f:read 'a' fs.remove(p) "
                             "return a .. b .. #c .. ' ' .. #f:pread(262144, 0)"),
                  "EFBIGEFBIG262144 262144") == 0);
    end();
}

static void memory_limited(void)
{
    begin((struct halo_lua_options){.max_memory = 16 << 20});
    EXPECT(strcmp(outcome_of("local t = {} for i = 1, 1e8 do t[i] = ('x'):rep(1000) .. i end"),
                  "not enough memory") == 0);
    /* Garbage is no reason to fail. */
    EXPECT(
        strcmp(outcome_of("for i = 1, 1e5 do local s = ('x'):rep(1000) .. i end return 'goes on'"),
               "goes on") == 0);
    end();
    EXPECT_EQUAL(HALO_LUA_NO_MEMORY,
                 halo_lua_new(&halo, NULL, &(struct halo_lua_options){.max_memory = 100000}));
    EXPECT(!halo);
}

static void hold_told(void)
{
    begin((struct halo_lua_options){.warn_blocking_ms = 20});
    outcome_of("local start = halo.now() while halo.now() - start < 0.03 do end halo.sleep(0)");
    EXPECT(strstr(lines, "task 1 held the loop for ") && strstr(lines, " to script:1\n"));
    lines[0] = '\0';
    outcome_of("halo.sleep(0.05)");
    EXPECT(!lines[0]);
    outcome_of(
        "local t = { 2, 1 } table.sort(t, function(a, b) halo.sleep(0.001) return a < b end)");
    EXPECT(strstr(lines, "sleep waited on the spot at script:1, for "));
    end();
}

/* Attempts to go on for ever: in what catches errors, in halo's own functions, in LuaJIT's. */
static void expect_all_stopped(void)
{
    static const char *const attempts[] = {
        "while true do pcall(error) end",
        "local function f() return pcall(f) end while true do f() end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "while true do xpcall(error, function() while true do end end) end",
        "halo.shield(function() while true do pcall(halo.shield, error) end end)",
        "halo.scope(function(s) s:defer(function() while true do end end) end)",
        "halo.timeout(0.001, function() while true do end end)",
        "for _ in type do end",
        "halo.map(math.random, type, 1)",
        "halo.fs.glob(('{a,'):rep(20000))",
        "for _ = 1, 1000 do halo.path.normalize(('a/../'):rep(100000)) end",
        "assert(loadstring('while true do pcall(error) end', '=[halo]/x'))()",
        "load(function() while true do end end) while true do end",
        "loadstring(function() while true do end end) while true do end",
        "load(os.date) load(function() return ' ' end)",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "local _ = ('x'):gsub('x', function() while true do end end)",
        "print(setmetatable({}, {__tostring = function() while true do end end}))",
        "local co = coroutine.wrap(function() while true do pcall(error) end end) co()",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) error(t.x)",
    };

    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        if (!strstr(outcome_of(attempts[i]), "stopped: the task has held the loop")) {
            printf("not stopped: %s\n", attempts[i]);
            exit(1);
        }
    EXPECT(strcmp(outcome_of("return tostring(jit.on) .. tostring(jit.attach) .. "
                             "tostring(debug.sethook) .. tostring(pcall(require, 'jit.profile'))"),
                  "nilnilnilfalse") == 0);
}

static void stopped(void)
{
    begin((struct halo_lua_options){.warn_blocking_ms = 20, .stop_ms = 50});
    EXPECT(strcmp(outcome_of("while true do end"),
                  "script:1: stopped: the task has held the loop for more than 50 ms") == 0);
    EXPECT(strstr(lines, "task 1 held the loop for ") && strstr(lines, " to its end\n"));
    EXPECT(
        strstr(outcome_of("while true do pcall(function() while true do end end) end"), "stopped"));
    EXPECT(
        strstr(outcome_of("local function f() return xpcall(function() while true do end end, f) "
                          "end while true do f() end"),
               "stopped"));
    EXPECT(
        strstr(outcome_of("while true do coroutine.wrap(function() while true do end end)() end"),
               "stopped"));
    EXPECT(strstr(outcome_of("return halo.map({1}, function() while true do end end)"), "stopped"));
    expect_all_stopped();
    /* Others go on, and one that gives the loop back in time is left alone. */
    EXPECT(strcmp(outcome_of("local bad = halo.spawn(function() while true do end end)"
                             "local start = halo.now() while halo.now() - start < 0.1 do "
                             "local now = halo.now() while halo.now() - now < 0.005 do end "
                             "halo.yield() end return tostring(pcall(bad.join, bad))"),
                  "false") == 0);
    EXPECT(strcmp(outcome_of("local n = 0 local f = load(function() n = n + 1 "
                             "return ({'return ', 4, '2'})[n] end) "
                             "return f() .. tostring(load(function() error('no', 0) end)) .. "
                             "select(2, load(function() return {} end)) .. "
                             "select(2, load(function() n = n + 1 return n == 6 and 'x' end))"),
                  "42nilreader function must return a string"
                  "reader function must return a string") == 0);
    /* halo's modules have what scripts have not, and no finalizer of a script's gets in by them. */
    EXPECT(strcmp(outcome_of("local _, dir = require('halo.lfs').dir('/') "
                             "local watch = assert(halo.fs.watch('/')) "
                             "return type(getmetatable(dir)) .. type(getmetatable(watch.tie)) .. "
                             "tostring(newproxy)"),
                  "stringstringnil") == 0);
    end();
    begin((struct halo_lua_options){.stop_ms = 50});
    EXPECT_EQUAL(0, halo_lua_remove_libraries(halo, "all"));
    EXPECT(strcmp(outcome_of("return tostring(pcall(require, 'ffi')) .. type(halo.fs.watch)"),
                  "falsefunction") == 0);
    end();
}

static void expired(void)
{
    begin((struct halo_lua_options){.max_time_ms = 50});
    struct halo_lua_task *task = spawn("local ok, e = pcall(halo.sleep, 1000) error(e, 0)");
    struct halo_lua_task *deaf = spawn("halo.shield(halo.sleep, 1000)");
    struct halo_lua_task *stubborn = spawn("while true do pcall(halo.sleep, 1000) end");
    int alive = 3, is_over = HALO_LUA_TASK_CANCELLED;
    for (time_t start = time(NULL); time(NULL) < start + 10;)
        if ((alive = halo_lua_step(halo, 10)) < 0 && halo_lua_task_status(deaf) == is_over)
            break;
    EXPECT_EQUAL(HALO_LUA_EXPIRED, alive);
    EXPECT(strstr(halo_lua_message(halo), "the time in all is over"));
    EXPECT_EQUAL(HALO_LUA_TASK_CANCELLED, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_TASK_CANCELLED, halo_lua_task_status(deaf));
    EXPECT(halo_lua_task_status(stubborn) < HALO_LUA_TASK_ENDED);
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_spawn_text(halo, "", 0, "=text", NULL));
    EXPECT(strstr(halo_lua_message(halo), "the time in all is over"));
    halo_lua_task_release(task);
    halo_lua_task_release(deaf);
    halo_lua_task_release(stubborn);
    end();
    begin((struct halo_lua_options){.max_time_ms = 50});
    EXPECT(luaL_loadstring(L, "while true do pcall(require('halo').sleep, 1000) end") == 0);
    EXPECT_EQUAL(HALO_LUA_EXPIRED, halo_lua_run(halo, L, 0, 0));
    EXPECT_EQUAL(1, lua_gettop(L));
    end();
    begin((struct halo_lua_options){.max_time_ms = 50, .stop_ms = 10000});
    EXPECT(strstr(outcome_of("while true do end"), "stopped: the time in all is over"));
    end();
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {
        {"results", results},
        {"failure", failure},
        {"cancel", cancel},
        {"at_end", at_end},
        {"late", late},
        {"texts", texts},
        {"tasks_limited", tasks_limited},
        {"bytes_limited", bytes_limited},
        {"memory_limited", memory_limited},
        {"hold_told", hold_told},
        {"stopped", stopped},
        {"expired", expired},
        {NULL, NULL},
    };
    return expect_run(cases, argc, argv);
}
