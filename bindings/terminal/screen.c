#include "terminal/screen.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wctype.h>

#define MARKS_ON  "\033[?2004h"
#define MARKS_OFF "\033[?2004l"

#define CTRL_C 3

static bool taken; /* the key that interrupts */
static volatile sig_atomic_t marking;

/* ---- places -------------------------------------------------------------------------------- */

struct halo_screen halo_screen_get(void)
{
    struct winsize size = {0};
    struct halo_screen screen = {.rows = 24, .columns = 80};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return screen;
    if (size.ws_row > 0)
        screen.rows = size.ws_row;
    if (size.ws_col > 1) /* libedit takes one column for an error, too */
        screen.columns = size.ws_col;
    return screen;
}

/* terminal_columns(): how many the terminal has that is printed to; nil where it is none. */
static int terminal_columns(lua_State *L)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    lua_pushinteger(L, size.ws_col);
    return 1;
}

void halo_open_screen(lua_State *L)
{
    lua_pushcfunction(L, terminal_columns);
    lua_setfield(L, -2, "terminal_columns");
}

static void new_row(struct halo_place *place)
{
    place->row++;
    place->column = 0;
}

/* A character that does not fit into the row goes into the next, as a whole. */
static void move_by(struct halo_place *place, int width, int columns)
{
    if (place->column + width > columns)
        new_row(place);
    place->column += width;
    if (place->column >= columns)
        new_row(place);
}

/* What cannot be printed libedit shows as ^X, \U+XXXX or \U+XXXXX. */
static int width_of_code(wchar_t character)
{
    if (character < 0x80)
        return 2;
    return character > 0xffff ? 8 : 7;
}

static void move_over(struct halo_place *place, wchar_t character, int columns)
{
    if (character == L'\n') {
        new_row(place);
    } else if (character == L'\t') {
        do
            move_by(place, 1, columns);
        while (place->column % 8 != 0);
    } else if (iswprint((wint_t)character)) {
        int width = wcwidth(character);
        if (width > 0)
            move_by(place, width, columns);
    } else {
        for (int width = width_of_code(character); width > 0; width--)
            move_by(place, 1, columns);
    }
}

void halo_place_move(struct halo_place *place, const wchar_t *text, size_t count, int columns)
{
    for (size_t i = 0; i < count; i++)
        move_over(place, text[i], columns);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void change_interrupt_key(cc_t from, cc_t to)
{
    struct termios settings;

    if (tcgetattr(STDIN_FILENO, &settings) != 0 || settings.c_cc[VINTR] != from)
        return;
    settings.c_cc[VINTR] = to;
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

static void tell(const char *sequence)
{
    int error = errno;
    if (write(STDOUT_FILENO, sequence, strlen(sequence)) < 0)
        errno = error; /* whoever writes next will hear of it */
}

bool halo_screen_ctrl_c_interrupts(void)
{
    struct termios settings;
    return tcgetattr(STDIN_FILENO, &settings) == 0 && settings.c_cc[VINTR] == CTRL_C;
}

void halo_screen_begin(bool ctrl_c, bool marks)
{
    if (ctrl_c)
        change_interrupt_key(CTRL_C, _POSIX_VDISABLE);
    taken = ctrl_c;
    if (marks) {
        fflush(stdout);
        tell(MARKS_ON);
    }
    marking = marks;
}

void halo_screen_end(void)
{
    if (taken)
        change_interrupt_key(_POSIX_VDISABLE, CTRL_C);
    taken = false;
    if (marking) {
        fflush(stdout);
        tell(MARKS_OFF);
    }
    marking = 0;
}

void halo_screen_leave(void)
{
    if (marking)
        tell(MARKS_OFF);
}

void halo_screen_return(void)
{
    if (marking)
        tell(MARKS_ON);
}
