#include <dlfcn.h>

#if __has_include(<histedit.h>)

#include "terminal/libedit.h"

struct halo_libedit halo_libedit;

bool halo_libedit_load(void)
{
    void *handle = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        handle = dlopen("libedit.so.0", RTLD_NOW | RTLD_LOCAL);
    bool complete = handle != NULL;
#define LOAD(name) complete = complete && (halo_libedit.name = dlsym(handle, #name));
    HALO_LIBEDIT(LOAD)
#undef LOAD
    return complete;
}

#endif
