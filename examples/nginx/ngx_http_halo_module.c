/*
 * An nginx module whose pages are made by Lua scripts on halo: a sketch of how halo lives in a
 * server that has a loop of its own.
 *
 *     location /files/ { halo_content /srv/scripts/files.lua; }
 *
 * Each worker process has one runtime. The script returns a function, which is called in a task for
 * each request, with the request's path and arguments, and returns a status and a body. It waits
 * for files as any script does, and the worker serves other requests meanwhile. Where the client
 * goes away, the task is cancelled.
 *
 * To nginx, halo is a descriptor that it watches, a timer, and a step that both of them call.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include <lauxlib.h>

#include "halo_lua.h"

typedef struct {
    ngx_str_t script;
    int function; /* a reference in the registry of this worker's state; LUA_NOREF: not loaded */
} halo_location_t;

typedef struct {
    ngx_http_request_t *request;
    struct halo_lua_task *task; /* NULL once it has ended */
} halo_job_t;

static struct halo_lua *halo; /* this worker's, NULL where it could not be had */
static ngx_connection_t *watched;
static ngx_event_t timer;

extern ngx_module_t ngx_http_halo_module;

/* ---- the loop ------------------------------------------------------------------------------ */

/* When the next step is due is asked after everything that was done with halo. */
static void set_timer(void)
{
    int timeout_ms = halo_lua_timeout_ms(halo);

    if (timer.timer_set)
        ngx_del_timer(&timer);
    if (timeout_ms >= 0)
        ngx_add_timer(&timer, (ngx_msec_t)timeout_ms);
}

static void step(ngx_event_t *event)
{
    (void)event;
    if (halo_lua_step(halo, 0) < 0)
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "halo: %s", halo_lua_message(halo));
    set_timer();
}

/* ---- requests ------------------------------------------------------------------------------ */

/* Sends what the task has returned, which is on the stack: a status and a body. */
static ngx_int_t answer(ngx_http_request_t *r, lua_State *L, int count)
{
    size_t length = 0;
    const char *text = count >= 2 ? lua_tolstring(L, -count + 1, &length) : NULL;
    ngx_chain_t out = {.next = NULL};

    if (!text || !lua_isnumber(L, -count))
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    ngx_buf_t *buffer = ngx_create_temp_buf(r->pool, length + 1);
    if (!buffer)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    buffer->last = ngx_cpymem(buffer->pos, text, length);
    buffer->last_buf = buffer->last_in_chain = 1;
    buffer->memory = length > 0;
    r->headers_out.status = (ngx_uint_t)lua_tointeger(L, -count);
    r->headers_out.content_length_n = (off_t)length;
    ngx_str_set(&r->headers_out.content_type, "text/plain");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    ngx_int_t result = ngx_http_send_header(r);
    if (result == NGX_ERROR || result > NGX_OK || r->header_only)
        return result;
    out.buf = buffer;
    return ngx_http_output_filter(r, &out);
}

static void on_task_end(struct halo_lua_task *task, void *user)
{
    halo_job_t *job = user;
    ngx_http_request_t *r = job->request;
    ngx_connection_t *connection = r->connection;
    lua_State *L = halo_lua_state(halo);
    int top = lua_gettop(L);
    ngx_int_t result = NGX_HTTP_INTERNAL_SERVER_ERROR;

    int count = halo_lua_task_results(task, L);
    if (count >= 0)
        result = answer(r, L, count);
    else
        ngx_log_error(NGX_LOG_ERR, connection->log, 0, "halo: %s",
                      lua_gettop(L) > top ? lua_tostring(L, -1) : halo_lua_describe(count));
    lua_settop(L, top);
    job->task = NULL;
    halo_lua_task_release(task);
    ngx_http_finalize_request(r, result);
    ngx_http_run_posted_requests(connection);
}

/* The request is over; where its task is not, the client has gone away. */
static void on_request_end(void *data)
{
    halo_job_t *job = data;

    if (!job->task)
        return;
    halo_lua_task_at_end(job->task, NULL, NULL);
    halo_lua_task_cancel(job->task);
    halo_lua_task_release(job->task);
    set_timer();
}

/* Pushes the script's function. A script is read once, by each worker, when it is first asked for.
 */
static int push_function(halo_location_t *location, lua_State *L)
{
    if (location->function == LUA_NOREF) {
        if (luaL_loadfilex(L, (const char *)location->script.data, "t") != 0 ||
            lua_pcall(L, 0, 1, 0) != 0)
            return -1;
        location->function = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, location->function);
    return 0;
}

static ngx_int_t start_task(ngx_http_request_t *r, halo_job_t *job)
{
    halo_location_t *location = ngx_http_get_module_loc_conf(r, ngx_http_halo_module);
    lua_State *L = halo_lua_state(halo);
    int top = lua_gettop(L);
    const char *problem = NULL;

    if (push_function(location, L) < 0) {
        problem = lua_tostring(L, -1);
    } else {
        lua_pushlstring(L, (const char *)r->uri.data, r->uri.len);
        lua_pushlstring(L, (const char *)r->args.data, r->args.len);
        if (halo_lua_spawn(halo, L, 2, &job->task) != 0)
            problem = halo_lua_message(halo);
    }
    if (problem)
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "halo: %s", problem);
    lua_settop(L, top);
    return problem ? NGX_HTTP_INTERNAL_SERVER_ERROR : NGX_OK;
}

static ngx_int_t on_request(ngx_http_request_t *r)
{
    halo_job_t *job = ngx_pcalloc(r->pool, sizeof(*job));
    ngx_http_cleanup_t *cleanup = ngx_http_cleanup_add(r, 0);
    if (!halo || !job || !cleanup)
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    ngx_int_t result = ngx_http_discard_request_body(r);
    if (result == NGX_OK)
        result = start_task(r, job);
    if (result != NGX_OK)
        return result;
    job->request = r;
    cleanup->handler = on_request_end;
    cleanup->data = job;
    halo_lua_task_at_end(job->task, on_task_end, job);
    r->read_event_handler = ngx_http_test_reading; /* it notices a client that goes away */
    r->main->count++;
    set_timer();
    return NGX_DONE;
}

/* ---- worker processes ---------------------------------------------------------------------- */

/* A worker is alone with what it has made: nothing of halo's may be older than its fork(). */
static ngx_int_t start_worker(ngx_cycle_t *cycle)
{
    if (halo_lua_new(&halo, NULL, NULL) != 0)
        return NGX_ERROR;
    int fd = halo_lua_fd(halo);
    watched = fd < 0 ? NULL : ngx_get_connection(fd, cycle->log);
    if (!watched)
        return NGX_ERROR;
    watched->read->handler = step;
    watched->read->log = cycle->log;
    timer.handler = step;
    timer.log = cycle->log;
    timer.data = watched; /* what nginx logs of a timer */
    timer.cancelable = 1;
    return ngx_add_event(watched->read, NGX_READ_EVENT, NGX_LEVEL_EVENT);
}

static void end_worker(ngx_cycle_t *cycle)
{
    (void)cycle;
    if (timer.timer_set)
        ngx_del_timer(&timer);
    if (watched) {
        ngx_del_event(watched->read, NGX_READ_EVENT, 0);
        ngx_free_connection(watched);
        watched->fd = (ngx_socket_t)-1; /* halo closes it */
    }
    halo_lua_close(halo, 1000);
    halo_lua_free(halo);
}

/* ---- configuration ------------------------------------------------------------------------- */

static void *create_location(ngx_conf_t *cf)
{
    halo_location_t *location = ngx_pcalloc(cf->pool, sizeof(*location));
    if (location)
        location->function = LUA_NOREF;
    return location;
}

static char *set_content(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
    halo_location_t *location = data;
    ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    ngx_str_t *words = cf->args->elts;

    (void)command;
    if (location->script.data)
        return "is duplicate";
    location->script = words[1]; /* words of a configuration end in a 0 */
    if (ngx_conf_full_name(cf->cycle, &location->script, 1) != NGX_OK)
        return NGX_CONF_ERROR;
    core->handler = on_request;
    return NGX_CONF_OK;
}

static ngx_command_t commands[] = {
    {ngx_string("halo_content"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, set_content,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    ngx_null_command,
};

static ngx_http_module_t context = {.create_loc_conf = create_location};

ngx_module_t ngx_http_halo_module = {
    NGX_MODULE_V1,
    &context,
    commands,
    NGX_HTTP_MODULE,
    NULL, /* init master */
    NULL, /* init module */
    start_worker,
    NULL, /* init thread */
    NULL, /* exit thread */
    end_worker,
    NULL, /* exit master */
    NGX_MODULE_V1_PADDING,
};
