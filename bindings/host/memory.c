#include "host/memory.h"

#include <stdlib.h>
#include <string.h>

/*
 * While it makes a state, opens its libraries (ffi) and closes it, LuaJIT does not survive that
 * memory is out: what the allocator refuses then is taken from malloc(). The state is not used,
 * where it has come to that.
 */
struct halo_extra {
    struct halo_extra *next;
    size_t size;
};

static struct halo_extra **find_extra(struct halo_memory *memory, const void *block)
{
    struct halo_extra **link = &memory->extra;
    while (*link && *link + 1 != block)
        link = &(*link)->next;
    return link;
}

static void *add_extra(struct halo_memory *memory, size_t size)
{
    struct halo_extra *extra = malloc(sizeof(*extra) + size);
    if (!extra)
        return NULL;
    *extra = (struct halo_extra){.next = memory->extra, .size = size};
    memory->extra = extra;
    memory->refused = true;
    return extra + 1;
}

static void free_extra(struct halo_extra **link)
{
    struct halo_extra *extra = *link;

    if (!extra) /* which is never so, but a checker cannot see that */
        return;
    *link = extra->next;
    free(extra);
}

/* A block of the allocator's that it did not make larger. */
static void *move_out(struct halo_memory *memory, void *block, size_t before, size_t after)
{
    void *made = add_extra(memory, after);
    if (made && block) {
        memcpy(made, block, before < after ? before : after);
        memory->allocator(memory->data, block, before, 0);
    }
    return made;
}

static void *change_extra(struct halo_memory *memory, struct halo_extra **link, size_t after)
{
    const struct halo_extra *extra = *link;
    void *made = NULL;

    if (after > 0) {
        made = add_extra(memory, after);
        if (!made)
            return NULL;
        memcpy(made, extra + 1, extra->size < after ? extra->size : after);
        link = find_extra(memory, extra + 1);
    }
    free_extra(link);
    return made;
}

static void *allocate(void *data, void *block, size_t before, size_t after)
{
    struct halo_memory *memory = data;
    struct halo_extra **extra = memory->extra && block ? find_extra(memory, block) : NULL;

    if (extra && *extra)
        return change_extra(memory, extra, after);
    if (memory->max && after > before && memory->used + (after - before) > memory->max) {
        memory->refused = true;
        if (!memory->must_give)
            return NULL;
    }
    void *made = memory->allocator(memory->data, block, before, after);
    if (!made && after > 0 && memory->must_give)
        return move_out(memory, block, before, after);
    memory->refused |= !made && after > 0;
    if (made || after == 0)
        memory->used += after - before;
    return made;
}

/* Of the host's allocator. */
static lua_State *make_by(struct halo_memory *memory)
{
    memory->must_give = true;
    lua_State *L = lua_newstate(allocate, memory);
    if (L && !memory->refused)
        return L;
    halo_memory_close_state(L, memory);
    return NULL;
}

/* LuaJIT's own allocator is asked by way of the one that counts. */
static lua_State *make_limited(struct halo_memory *memory)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        free(memory);
        return NULL;
    }
    memory->allocator = lua_getallocf(L, &memory->data);
    memory->is_own = memory->must_give = true;
    memory->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
    lua_setallocf(L, allocate, memory);
    return L;
}

lua_State *halo_memory_new_state(const struct halo_lua_options *options,
                                 struct halo_memory **memory)
{
    bool given = options && options->allocator;

    *memory = NULL;
    if (!given && !(options && options->max_memory))
        return luaL_newstate();
    struct halo_memory *made = calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    made->allocator = options->allocator;
    made->data = options->allocator_data;
    made->max = options->max_memory;
    made->collect_at = options->max_memory / 4 * 3;
    lua_State *L = given ? make_by(made) : make_limited(made);
    *memory = L ? made : NULL;
    return L;
}

bool halo_memory_opened(struct halo_memory *memory)
{
    if (!memory)
        return true;
    memory->must_give = false;
    return !memory->refused;
}

/* LuaJIT gives all of its own allocator's memory back where it finds that. */
void halo_memory_close_state(lua_State *L, struct halo_memory *memory)
{
    if (memory) {
        memory->must_give = true;
        memory->max = 0;
    }
    if (memory && memory->is_own && L)
        lua_setallocf(L, memory->allocator, memory->data);
    if (L)
        lua_close(L);
    free(memory);
}
