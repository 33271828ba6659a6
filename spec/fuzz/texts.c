/*
 * Patterns, braces, paths, permissions and modes: parsers in Lua of texts that anybody may write.
 * The first byte of an input says which, the rest is the text. See texts.lua.
 */
#include "script.h"

static lua_State *L;

static void end(void)
{
    script_close(L);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct script script;

    (void)argc, (void)argv;
    script_read(&script, "spec/fuzz/texts.lua");
    L = script_open(&script);
    free(script.text);
    atexit(end);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script_run(L, data, size);
    return 0;
}
