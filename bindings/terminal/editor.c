/*
 * Line editing for the prompt, by libedit. It is loaded when the prompt starts, since to link it
 * would make each start of the command slower; where it is missing, or was when halo was built,
 * there is no editor and the prompt takes plain lines.
 *
 * libedit would read the terminal itself and wait. Here it is fed: the prompt reads standard input
 * through the loop, so that other tasks go on, and libedit takes each key from what has come.
 */
#include "terminal/editor.h"

#include <lauxlib.h>

#if __has_include(<histedit.h>)

#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "args.h"
#include "tasks/state.h"

#define HISTORY_MAX 1000
#define PROMPT_MAX  64
#define END_OF_FILE L'\4' /* the line that Ctrl-D makes where there was none */

#define FUNCTIONS(X)                                                                               \
    X(el_init)                                                                                     \
    X(el_end)                                                                                      \
    X(el_get)                                                                                      \
    X(el_wset)                                                                                     \
    X(el_wgets)                                                                                    \
    X(el_wline)                                                                                    \
    X(el_winsertstr)                                                                               \
    X(el_resize)                                                                                   \
    X(history_winit)                                                                               \
    X(history_wend)                                                                                \
    X(history_w)

#define POINTER(name) __typeof__(&name) name;
static struct {
    FUNCTIONS(POINTER)
} lib;
#undef POINTER

struct editor {
    EditLine *el;
    HistoryW *history;
    lua_State *L;      /* that feeds it; for the completion */
    const char *bytes; /* fed, and not taken yet */
    size_t size;
    wchar_t prompt[PROMPT_MAX];
    bool editing; /* the terminal gives each key as it comes */
    bool hidden;
};

static const char editor_type[] = "halo.editor";

/* There is one terminal, and one editor on it. */
static struct editor *of_process;

static void give_way(bool begins);

/* ---- what libedit asks for ----------------------------------------------------------------- */

static struct editor *editor_of(EditLine *el)
{
    struct editor *editor;
    lib.el_get(el, EL_CLIENTDATA, &editor);
    return editor;
}

static wchar_t *get_prompt(EditLine *el)
{
    return editor_of(el)->prompt;
}

/* Some commands, as the search in the history, read on by themselves: they have to wait here. */
static bool wait_for_byte(char *byte)
{
    struct pollfd terminal = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&terminal, 1, -1) == 1 && read(STDIN_FILENO, byte, 1) == 1;
}

static bool take_byte(struct editor *editor, char *byte)
{
    if (editor->size == 0)
        return wait_for_byte(byte);
    *byte = *editor->bytes;
    editor->bytes++;
    editor->size--;
    return true;
}

/* Gives libedit the next character. What is none in UTF-8 is passed over. */
static int get_character(EditLine *el, wchar_t *character)
{
    struct editor *editor = editor_of(el);
    mbstate_t state = {0};
    size_t length = (size_t)-2;
    char byte;

    while (length == (size_t)-2) {
        if (!take_byte(editor, &byte))
            return -1;
        length = mbrtowc(character, &byte, 1, &state);
        if (length == (size_t)-1) {
            state = (mbstate_t){0};
            length = (size_t)-2;
        }
    }
    return 1;
}

/* Pushes text as bytes; characters that have none in this locale are left out. */
static void push_wide(lua_State *L, const wchar_t *text, size_t count)
{
    luaL_Buffer buffer;
    char bytes[MB_LEN_MAX];
    mbstate_t state = {0};

    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < count; i++) {
        size_t length = wcrtomb(bytes, text[i], &state);
        if (length != (size_t)-1)
            luaL_addlstring(&buffer, bytes, length);
        else
            state = (mbstate_t){0};
    }
    luaL_pushresult(&buffer);
}

/* Turns bytes into a wide string of the caller's; bytes that are no characters are left out. */
static wchar_t *to_wide(const char *bytes, size_t size, wchar_t *wide, size_t max)
{
    mbstate_t state = {0};
    size_t count = 0;

    while (size > 0 && count + 1 < max) {
        size_t length = mbrtowc(&wide[count], bytes, size, &state);
        bool good = length != (size_t)-1 && length != (size_t)-2 && length != 0;
        if (!good)
            state = (mbstate_t){0};
        count += good;
        length = good ? length : 1;
        bytes += length;
        size -= length;
    }
    wide[count] = L'\0';
    return wide;
}

/* ---- completion ---------------------------------------------------------------------------- */

/* complete(before): what to insert, and what else fits to be shown below the line, or nil. */
static int call_complete(lua_State *L)
{
    const LineInfoW *line = lua_touserdata(L, 1);

    lua_getfield(L, LUA_REGISTRYINDEX, "halo.complete");
    push_wide(L, line->buffer, (size_t)(line->cursor - line->buffer));
    lua_call(L, 1, 2);
    return 2;
}

static void show_below(const char *text)
{
    fprintf(stdout, "\n%s\n", text);
    fflush(stdout);
}

/* What Tab does. */
static unsigned char on_tab(EditLine *el, int key)
{
    struct editor *editor = editor_of(el);
    lua_State *L = editor->L;
    int top = lua_gettop(L);
    unsigned char answer = CC_REFRESH_BEEP;
    (void)key;

    lua_pushcfunction(L, call_complete);
    lua_pushlightuserdata(L, (void *)(uintptr_t)lib.el_wline(el));
    if (lua_pcall(L, 1, 2, 0) == 0 && lua_isstring(L, -2)) {
        size_t size;
        const char *text = lua_tolstring(L, -2, &size);
        wchar_t *wide = calloc(size + 1, sizeof(*wide));
        if (wide && size > 0 && lib.el_winsertstr(el, to_wide(text, size, wide, size + 1)) == 0)
            answer = CC_REFRESH;
        free(wide);
        if (lua_isstring(L, -1)) {
            show_below(lua_tostring(L, -1));
            answer = CC_REDISPLAY;
        }
    }
    lua_settop(L, top);
    return answer;
}

/* ---- opening ------------------------------------------------------------------------------- */

static bool load_library(void)
{
    void *handle = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        handle = dlopen("libedit.so.0", RTLD_NOW | RTLD_LOCAL);
    bool complete = handle != NULL;
#define LOAD(name) complete = complete && (lib.name = dlsym(handle, #name));
    FUNCTIONS(LOAD)
#undef LOAD
    return complete;
}

/* libedit works on wide characters, which it takes to be those of the locale. */
static void choose_characters(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static void set_up(struct editor *editor)
{
    HistEventW event;
    EditLine *el = editor->el;

    lib.el_wset(el, EL_CLIENTDATA, editor);
    lib.el_wset(el, EL_PROMPT, get_prompt);
    lib.el_wset(el, EL_EDITOR, L"emacs");
    lib.el_wset(el, EL_SIGNAL, 0);
    lib.el_wset(el, EL_GETCFN, get_character);
    lib.history_w(editor->history, &event, H_SETSIZE, HISTORY_MAX);
    lib.history_w(editor->history, &event, H_SETUNIQUE, 1);
    lib.el_wset(el, EL_HIST, lib.history_w, editor->history);
    lib.el_wset(el, EL_ADDFN, L"complete", L"complete", on_tab);
    lib.el_wset(el, EL_BIND, L"^I", L"complete", NULL);
    lib.el_wset(el, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
    lib.el_wset(el, EL_BIND, L"^W", L"ed-delete-prev-word", NULL);
    lib.el_wset(el, EL_BIND, L"\\e[3~", L"ed-delete-next-char", NULL);
    lib.el_wset(el, EL_BIND, L"\\e[1;5C", L"em-next-word", NULL);
    lib.el_wset(el, EL_BIND, L"\\e[1;5D", L"ed-prev-word", NULL);
}

static int editor_close(lua_State *L)
{
    struct editor *editor = luaL_checkudata(L, 1, editor_type);
    if (editor->el) {
        if (editor->editing)
            lib.el_wset(editor->el, EL_UNBUFFERED, 0);
        lib.el_end(editor->el);
        editor->el = NULL;
    }
    if (editor->history)
        lib.history_wend(editor->history);
    editor->history = NULL;
    of_process = NULL;
    return 0;
}

/* can_edit(): true, or nil and why not. */
static int can_edit(lua_State *L)
{
    if (load_library())
        return lua_pushboolean(L, 1), 1;
    lua_pushnil(L);
    lua_pushliteral(L, "since libedit is not installed");
    return 2;
}

/* open_editor(complete): an editor on the terminal; nil where there is none. */
static int open_editor(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !load_library())
        return 0;
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "halo.complete");
    choose_characters();
    struct editor *editor = lua_newuserdata(L, sizeof(*editor));
    *editor = (struct editor){.L = L};
    luaL_getmetatable(L, editor_type);
    lua_setmetatable(L, -2);
    editor->el = lib.el_init("halo", stdin, stdout, stderr);
    editor->history = lib.history_winit();
    if (!editor->el || !editor->history)
        return 0; /* the collector closes the half of it */
    set_up(editor);
    of_process = editor;
    halo_lua_get(L)->give_way = give_way;
    return 1;
}

/* ---- editing a line ------------------------------------------------------------------------ */

static struct editor *check_editor(lua_State *L)
{
    struct editor *editor = luaL_checkudata(L, 1, editor_type);
    luaL_argcheck(L, editor->el, 1, "the editor is closed");
    return editor;
}

/* editor:start(prompt): shows the prompt for a new line. */
static int editor_start(lua_State *L)
{
    struct editor *editor = check_editor(L);
    size_t size;
    const char *prompt = luaL_checklstring(L, 2, &size);

    to_wide(prompt, size, editor->prompt, PROMPT_MAX);
    if (!editor->editing)
        lib.el_wset(editor->el, EL_UNBUFFERED, 1);
    editor->editing = true;
    editor->hidden = false;
    return 0;
}

/* editor:stop(): the terminal is as it was before; what was typed is forgotten. */
static int editor_stop(lua_State *L)
{
    struct editor *editor = check_editor(L);
    if (editor->editing)
        lib.el_wset(editor->el, EL_UNBUFFERED, 0);
    editor->editing = false;
    return 0;
}

/*
 * editor:feed(bytes): the line, where one has come to its end, and the bytes behind it; false at
 * the end of the input, which is Ctrl-D in an empty line; nil where more is needed.
 */
static int editor_feed(lua_State *L)
{
    struct editor *editor = check_editor(L);
    const wchar_t *line;
    int count;

    editor->bytes = luaL_checklstring(L, 2, &editor->size);
    editor->L = L;
    lib.el_resize(editor->el);
    while (editor->size > 0) {
        line = lib.el_wgets(editor->el, &count);
        if (line && count > 0 && (line[count - 1] == L'\n' || line[count - 1] == L'\r'))
            push_wide(L, line, (size_t)count - 1);
        else if (line && count == 1 && line[0] == END_OF_FILE)
            lua_pushboolean(L, 0);
        else
            continue;
        lua_pushlstring(L, editor->bytes, editor->size);
        return 2;
    }
    return 0;
}

/* editor:text(): what has been typed, and where in it the cursor is. */
static int editor_text(lua_State *L)
{
    struct editor *editor = check_editor(L);
    const LineInfoW *line = lib.el_wline(editor->el);
    push_wide(L, line->buffer, (size_t)(line->lastchar - line->buffer));
    return 1;
}

/* ---- output above the line ----------------------------------------------------------------- */

static int width_of(const wchar_t *text, size_t count)
{
    int width = 0;
    for (size_t i = 0; i < count; i++) {
        int columns = wcwidth(text[i]);
        width += columns < 0 ? 2 : columns; /* a control character shows as ^X */
    }
    return width;
}

static int columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static bool hide(struct editor *editor)
{
    if (!editor->editing || editor->hidden)
        return false;
    const LineInfoW *line = lib.el_wline(editor->el);
    int before = width_of(editor->prompt, wcslen(editor->prompt)) +
                 width_of(line->buffer, (size_t)(line->cursor - line->buffer));
    int rows = before / columns();
    if (rows > 0)
        fprintf(stdout, "\033[%dA", rows);
    fputs("\r\033[J", stdout);
    fflush(stdout);
    editor->hidden = true;
    return true;
}

static void show(struct editor *editor)
{
    if (editor->editing && editor->hidden)
        lib.el_wset(editor->el, EL_REFRESH);
    editor->hidden = false;
}

/* editor:hide(): takes the prompt and the line off the screen, so that others may print. */
static int editor_hide(lua_State *L)
{
    lua_pushboolean(L, hide(check_editor(L)));
    return 1;
}

/* editor:show(at_start): draws them again; on a row of their own where the cursor is not at one. */
static int editor_show(lua_State *L)
{
    struct editor *editor = check_editor(L);
    if (editor->hidden && !lua_toboolean(L, 2))
        fputs("\n", stdout);
    show(editor);
    return 0;
}

/* The same for what C prints. */
static void give_way(bool begins)
{
    if (of_process && begins)
        hide(of_process);
    else if (of_process)
        show(of_process);
}

/* editor:remember(line): adds it to the history. */
static int editor_remember(lua_State *L)
{
    struct editor *editor = check_editor(L);
    size_t size;
    const char *line = luaL_checklstring(L, 2, &size);
    wchar_t *wide = calloc(size + 1, sizeof(*wide));
    HistEventW event;

    if (wide)
        lib.history_w(editor->history, &event, H_ENTER, to_wide(line, size, wide, size + 1));
    free(wide);
    return 0;
}

static const luaL_Reg methods[] = {
    {"start", editor_start}, {"stop", editor_stop},         {"feed", editor_feed},
    {"text", editor_text},   {"hide", editor_hide},         {"show", editor_show},
    {"close", editor_close}, {"remember", editor_remember}, {NULL, NULL},
};

void halo_open_editor(lua_State *L)
{
    luaL_newmetatable(L, editor_type);
    luaL_register(L, NULL, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, open_editor);
    lua_setfield(L, -2, "open_editor");
    lua_pushcfunction(L, can_edit);
    lua_setfield(L, -2, "can_edit");
}

#else

static int can_edit(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "since halo was built without libedit");
    return 2;
}

static int open_editor(lua_State *L)
{
    (void)L;
    return 0;
}

void halo_open_editor(lua_State *L)
{
    lua_pushcfunction(L, open_editor);
    lua_setfield(L, -2, "open_editor");
    lua_pushcfunction(L, can_edit);
    lua_setfield(L, -2, "can_edit");
}

#endif
