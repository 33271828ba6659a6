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

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "args.h"
#include "tasks/state.h"
#include "terminal/libedit.h"
#include "terminal/screen.h"
#include "terminal/wide.h"

#define HISTORY_MAX 1000
#define PROMPT_MAX  64
#define AHEAD_MAX   4096  /* bytes, which is what a terminal keeps */
#define END_OF_FILE L'\4' /* the line that Ctrl-D makes where there was none */
#define CTRL_C      3

struct editor {
    EditLine *el;
    HistoryW *history;
    lua_State *L;      /* that feeds it; for the completion */
    const char *bytes; /* fed, and not taken yet */
    size_t size;
    wchar_t prompt[PROMPT_MAX];
    struct halo_screen screen; /* when the line was drawn */
    bool plain;                /* the terminal knows no sequences */
    bool editing;              /* it gives each key as it comes */
    bool hidden;
    bool ctrl_c;      /* is a key meanwhile, and no signal */
    bool interrupted; /* by it, the latest key */
};

static const char editor_type[] = "halo.editor";

/* There is one terminal, and one editor on it. */
static struct editor *of_process;

static void give_way(bool begins);

/* ---- what libedit asks for ----------------------------------------------------------------- */

static struct editor *editor_of(EditLine *el)
{
    struct editor *editor;
    halo_libedit.el_get(el, EL_CLIENTDATA, &editor);
    return editor;
}

static wchar_t *get_prompt(EditLine *el)
{
    return editor_of(el)->prompt;
}

static bool take_byte(struct editor *editor, char *byte)
{
    if (editor->size == 0)
        return false;
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
        editor->interrupted = byte == CTRL_C;
        if (editor->interrupted)
            return -1;
        length = mbrtowc(character, &byte, 1, &state);
        if (length == (size_t)-1) {
            state = (mbstate_t){0};
            length = (size_t)-2;
        }
    }
    return 1;
}

/* ---- the line on the screen ---------------------------------------------------------------- */

/* Where a character of the line is, or its end. Of a line that is higher than the screen libedit
 * shows the last rows. */
static struct halo_place place_of(struct editor *editor, const wchar_t *character)
{
    const LineInfoW *line = halo_libedit.el_wline(editor->el);
    struct halo_screen screen = editor->screen;
    struct halo_place place = {0};

    halo_place_move(&place, editor->prompt, wcslen(editor->prompt), screen.columns);
    halo_place_move(&place, line->buffer, (size_t)(character - line->buffer), screen.columns);
    if (character < line->lastchar && place.column + wcwidth(*character) > screen.columns)
        place = (struct halo_place){.row = place.row + 1};
    if (place.row >= screen.rows)
        place.row = screen.rows - 1;
    return place;
}

/* Terminals fold their rows anew when they get another width: so the place is one in the new. */
static bool hide(struct editor *editor)
{
    if (!editor->editing || editor->hidden)
        return false;
    editor->screen = halo_screen_get();
    int row = place_of(editor, halo_libedit.el_wline(editor->el)->cursor).row;
    if (editor->plain)
        fputs("\n", stdout);
    else if (row > 0)
        fprintf(stdout, "\033[%dA", row);
    if (!editor->plain)
        fputs("\r\033[J", stdout);
    fflush(stdout);
    editor->hidden = true;
    return true;
}

static void draw(struct editor *editor)
{
    editor->screen = halo_screen_get();
    halo_libedit.el_resize(editor->el);
    halo_libedit.el_wset(editor->el, EL_REFRESH);
}

static void show(struct editor *editor)
{
    if (editor->editing && editor->hidden)
        draw(editor);
    editor->hidden = false;
}

/* To the end of the line, which may be rows below. */
static void go_behind(struct editor *editor)
{
    const LineInfoW *line = halo_libedit.el_wline(editor->el);
    int row = place_of(editor, line->cursor).row;
    struct halo_place end = place_of(editor, line->lastchar);

    if (editor->hidden)
        return;
    if (editor->plain && line->cursor < line->lastchar)
        fputs("\n", stdout);
    if (editor->plain)
        return;
    for (; row < end.row; row++)
        fputs("\n", stdout);
    fputs("\r", stdout);
    if (end.column > 0)
        fprintf(stdout, "\033[%dC", end.column);
    fflush(stdout);
}

/* The line is drawn anew below the text. */
static void show_below(struct editor *editor, const char *text)
{
    go_behind(editor);
    fprintf(stdout, "\n%s\n", text);
    draw(editor);
}

/* The terminal has another size. */
static void adapt(struct editor *editor)
{
    struct halo_screen screen = halo_screen_get();
    bool same = screen.rows == editor->screen.rows && screen.columns == editor->screen.columns;
    if (!same && hide(editor))
        show(editor);
}

/* ---- completion ---------------------------------------------------------------------------- */

/* complete(before): what to insert, and what else fits to be shown below the line, or nil. */
static int call_complete(lua_State *L)
{
    const LineInfoW *line = lua_touserdata(L, 1);

    lua_getfield(L, LUA_REGISTRYINDEX, "halo.complete");
    halo_wide_push(L, line->buffer, (size_t)(line->cursor - line->buffer));
    lua_call(L, 1, 2);
    return 2;
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
    lua_pushlightuserdata(L, (void *)(uintptr_t)halo_libedit.el_wline(el));
    if (lua_pcall(L, 1, 2, 0) == 0 && lua_isstring(L, -2)) {
        size_t size;
        const char *text = lua_tolstring(L, -2, &size);
        wchar_t *wide = calloc(size + 1, sizeof(*wide));
        if (wide && size > 0 &&
            halo_libedit.el_winsertstr(el, halo_wide_from(text, size, wide, size + 1)) == 0)
            answer = CC_REFRESH;
        free(wide);
        if (lua_isstring(L, -1)) {
            show_below(editor, lua_tostring(L, -1));
            answer = CC_NORM;
        }
    }
    lua_settop(L, top);
    return answer;
}

/* ---- opening ------------------------------------------------------------------------------- */

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
    char *up = NULL; /* what moves the cursor up a row */

    editor->plain = halo_libedit.el_get(el, EL_GETTC, "up", &up) != 0 || !up || !*up;
    halo_libedit.el_wset(el, EL_CLIENTDATA, editor);
    halo_libedit.el_wset(el, EL_PROMPT, get_prompt);
    halo_libedit.el_wset(el, EL_EDITOR, L"emacs");
    halo_libedit.el_wset(el, EL_SIGNAL, 0);
    halo_libedit.el_wset(el, EL_PREP_TERM, 1); /* or EL_SETTY would hold from the second line on */
    halo_libedit.el_wset(el, EL_PREP_TERM, 0);
    halo_libedit.el_wset(el, EL_GETCFN, get_character);
    halo_libedit.history_w(editor->history, &event, H_SETSIZE, HISTORY_MAX);
    halo_libedit.history_w(editor->history, &event, H_SETUNIQUE, 1);
    halo_libedit.el_wset(el, EL_HIST, halo_libedit.history_w, editor->history);
    halo_libedit.el_wset(el, EL_ADDFN, L"complete", L"complete", on_tab);
    halo_libedit.el_wset(el, EL_BIND, L"^I", L"complete", NULL);
    halo_libedit.el_wset(el, EL_BIND, L"\\ex", L"ed-unassigned", NULL); /* it waits itself */
    halo_libedit.el_wset(el, EL_BIND, L"^W", L"ed-delete-prev-word", NULL);
    halo_libedit.el_wset(el, EL_BIND, L"\\e[3~", L"ed-delete-next-char", NULL);
    halo_libedit.el_wset(el, EL_BIND, L"\\e[1;5C", L"em-next-word", NULL);
    halo_libedit.el_wset(el, EL_BIND, L"\\e[1;5D", L"ed-prev-word", NULL);
}

static void stop(struct editor *editor)
{
    if (!editor->editing)
        return;
    halo_screen_end();
    halo_libedit.el_wset(editor->el, EL_UNBUFFERED, 0);
    editor->editing = false;
}

static int editor_close(lua_State *L)
{
    struct editor *editor = luaL_checkudata(L, 1, editor_type);
    if (editor->el) {
        if (editor->editing) { /* a task has ended the process meanwhile */
            go_behind(editor);
            fputs("\n", stdout);
        }
        stop(editor);
        halo_libedit.el_end(editor->el);
        editor->el = NULL;
    }
    if (editor->history)
        halo_libedit.history_wend(editor->history);
    editor->history = NULL;
    of_process = NULL;
    return 0;
}

/* can_edit(): true, or nil and why not. */
static int can_edit(lua_State *L)
{
    if (halo_libedit_load())
        return lua_pushboolean(L, 1), 1;
    lua_pushnil(L);
    lua_pushliteral(L, "since libedit is not installed");
    return 2;
}

/* open_editor(complete): an editor on the terminal; nil where there is none. */
static int open_editor(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !halo_libedit_load())
        return 0;
    lua_pushvalue(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "halo.complete");
    choose_characters();
    struct editor *editor = lua_newuserdata(L, sizeof(*editor));
    *editor = (struct editor){.L = L};
    luaL_getmetatable(L, editor_type);
    lua_setmetatable(L, -2);
    editor->el = halo_libedit.el_init("halo", stdin, stdout, stderr);
    editor->history = halo_libedit.history_winit();
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

/* editor:start(prompt, ctrl_c): shows the prompt for a new line. Ctrl-C may be a key of it. */
static int editor_start(lua_State *L)
{
    struct editor *editor = check_editor(L);
    size_t size;
    const char *prompt = luaL_checklstring(L, 2, &size);

    halo_wide_from(prompt, size, editor->prompt, PROMPT_MAX);
    editor->screen = halo_screen_get();
    bool interrupts = halo_screen_ctrl_c_interrupts();
    editor->ctrl_c = lua_toboolean(L, 3) && interrupts;
    if (interrupts) /* from the first key on, which may be typed once the prompt is seen */
        halo_libedit.el_wset(editor->el, EL_SETTY, L"-d", editor->ctrl_c ? L"intr=" : L"intr=^C",
                             NULL);
    halo_libedit.el_wset(editor->el, EL_UNBUFFERED, 1);
    halo_screen_begin(editor->ctrl_c, !editor->plain);
    editor->editing = true;
    editor->hidden = false;
    return 0;
}

/* editor:stop(dropped): the terminal is as it was before; what was typed is forgotten. */
static int editor_stop(lua_State *L)
{
    struct editor *editor = check_editor(L);
    if (lua_toboolean(L, 2))
        go_behind(editor);
    stop(editor);
    return 0;
}

/*
 * Ctrl-C is a signal once the line's end can be seen. What was typed before that is taken along,
 * since a Ctrl-C may be among it, but not all of a paste without marks.
 */
static size_t end_keys(char *ahead, bool take)
{
    int count = 0;

    halo_screen_end();
    if (!take || ioctl(STDIN_FILENO, FIONREAD, &count) != 0 || count <= 0)
        return 0;
    ssize_t size = read(STDIN_FILENO, ahead, count < AHEAD_MAX ? (size_t)count : AHEAD_MAX);
    return size < 0 ? 0 : (size_t)size;
}

/* Takes a key. True where the line, its end or Ctrl-C has been pushed. */
static bool take_key(struct editor *editor, lua_State *L)
{
    const LineInfoW *before = halo_libedit.el_wline(editor->el);
    /* The same character may be in the line, pasted or behind Ctrl-V. */
    bool may_end = *editor->bytes == END_OF_FILE && before->lastchar == before->buffer;
    int count;
    const wchar_t *line = halo_libedit.el_wgets(editor->el, &count);

    if (editor->interrupted)
        lua_pushboolean(L, 1);
    else if (line && count > 0 && (line[count - 1] == L'\n' || line[count - 1] == L'\r'))
        halo_wide_push(L, line, (size_t)count - 1);
    else if (may_end && line && count == 1 && line[0] == END_OF_FILE)
        lua_pushboolean(L, 0);
    else
        return false;
    return true;
}

/*
 * editor:feed(bytes): the line, where one has come to its end; false at the end of the input, which
 * is Ctrl-D in an empty line; true at Ctrl-C; nil where more is needed. Then the bytes behind it.
 */
static int editor_feed(lua_State *L)
{
    struct editor *editor = check_editor(L);
    char ahead[AHEAD_MAX];
    size_t ahead_size = 0;
    bool done = false;

    editor->bytes = luaL_checklstring(L, 2, &editor->size);
    editor->L = L;
    editor->interrupted = false;
    adapt(editor);
    while (editor->size > 0 && !done) {
        bool ends = *editor->bytes == '\r' || *editor->bytes == '\n';
        if (ends)
            ahead_size = end_keys(ahead, editor->size < AHEAD_MAX);
        done = take_key(editor, L);
        if (ends && !done) {
            halo_screen_begin(editor->ctrl_c, !editor->plain);
            break;
        }
    }
    if (!done)
        lua_pushnil(L);
    lua_pushlstring(L, editor->bytes, editor->size);
    lua_pushlstring(L, ahead, ahead_size);
    lua_concat(L, 2);
    return 2;
}

/* editor:text(): what has been typed, before the cursor and behind it. */
static int editor_text(lua_State *L)
{
    struct editor *editor = check_editor(L);
    const LineInfoW *line = halo_libedit.el_wline(editor->el);
    halo_wide_push(L, line->buffer, (size_t)(line->cursor - line->buffer));
    halo_wide_push(L, line->cursor, (size_t)(line->lastchar - line->cursor));
    return 2;
}

/* Inserts the text at this place in the stack, as it is. Returns how many characters it has. */
static int insert(struct editor *editor, lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    wchar_t *wide = calloc(size + 1, sizeof(*wide));
    int count = 0;

    if (wide &&
        halo_libedit.el_winsertstr(editor->el, halo_wide_from(text, size, wide, size + 1)) == 0)
        count = (int)wcslen(wide);
    free(wide);
    return count;
}

/*
 * editor:set(prompt, before, behind): another line in the place of what is being typed, which has
 * to be hidden.
 */
static int editor_set(lua_State *L)
{
    struct editor *editor = check_editor(L);
    const LineInfoW *line = halo_libedit.el_wline(editor->el);
    size_t size;
    const char *prompt = luaL_checklstring(L, 2, &size);

    halo_libedit.el_cursor(editor->el, (int)(line->lastchar - line->cursor));
    halo_libedit.el_deletestr(editor->el, (int)(line->lastchar - line->buffer));
    halo_wide_from(prompt, size, editor->prompt, PROMPT_MAX);
    insert(editor, L, 3);
    halo_libedit.el_cursor(editor->el, -insert(editor, L, 4));
    return 0;
}

/* ---- output above the line ----------------------------------------------------------------- */

/*
 * editor:hide(gone): takes the prompt and the line off the screen, so that others may print; where
 * gone is true the screen is no longer what it was, and nothing is to be taken off.
 */
static int editor_hide(lua_State *L)
{
    struct editor *editor = check_editor(L);
    bool gone = lua_toboolean(L, 2) && editor->editing && !editor->hidden;
    editor->hidden = editor->hidden || gone;
    lua_pushboolean(L, gone || hide(editor));
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
    static bool hidden;
    if (of_process && begins)
        hidden = hide(of_process);
    else if (of_process && hidden)
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
        halo_libedit.history_w(editor->history, &event, H_ENTER,
                               halo_wide_from(line, size, wide, size + 1));
    free(wide);
    return 0;
}

static const luaL_Reg methods[] = {
    {"start", editor_start}, {"stop", editor_stop},
    {"feed", editor_feed},   {"text", editor_text},
    {"hide", editor_hide},   {"show", editor_show},
    {"close", editor_close}, {"remember", editor_remember},
    {"set", editor_set},     {NULL, NULL},
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
