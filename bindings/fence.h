/* fence.h: what holds scripts, beside the loop's own fence. */
#ifndef HALO_LUA_FENCE_H
#define HALO_LUA_FENCE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* A file, or a directory with all below it, that the kernel is to let this process reach. */
struct halo_kernel_rule {
    const char *path;
    unsigned rights; /* HALO_LUA_MAY_* */
};

/* What the kernel is to hold. */
struct halo_kernel_fence {
    const struct halo_kernel_rule *rules;
    size_t count;
    bool paths;     /* all that is not in a rule */
    bool execution; /* of any file */
};

/*
 * Puts this thread, and all threads and processes that it starts from now on, behind a fence of the
 * kernel's (Landlock), for good. Returns 0, or -errno with the rule's path, or NULL where it is the
 * kernel that has none.
 */
int halo_kernel_fence(const struct halo_kernel_fence *fence, const char **path);

/* Takes libraries away, as halo_lua_remove_libraries(); raises an error for an unknown word. */
void halo_remove_libraries(lua_State *L, const char *names);

/* Sets in the table on top of the stack what the command fences its script by; see fence.c. */
void halo_push_fence_means(lua_State *L);

#endif
