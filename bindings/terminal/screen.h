/*
 * screen.h: the terminal that a line is edited on. Where text goes on it, as libedit lays it out,
 * and what it does otherwise as long as a line is edited.
 */
#ifndef HALO_SCREEN_H
#define HALO_SCREEN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

struct halo_screen {
    int rows, columns;
};

/* A place on the screen, counted from where the prompt begins. */
struct halo_place {
    int row, column;
};

/* Puts terminal_columns() into the table on top of the stack. */
void halo_open_screen(lua_State *L);

struct halo_screen halo_screen_get(void);

/* Moves a place to behind a text that is written there. */
void halo_place_move(struct halo_place *place, const wchar_t *text, size_t count, int columns);

/* Whether it is Ctrl-C that interrupts: the user may have chosen another key. */
bool halo_screen_ctrl_c_interrupts(void);

/*
 * A line begins to be edited. Where ctrl_c is true, Ctrl-C is a key from here on, which comes in
 * its turn: a signal would overtake what was typed before it, or be overtaken. Where marks is true,
 * the terminal marks the begin and the end of what is pasted.
 */
void halo_screen_begin(bool ctrl_c, bool marks);

/* The line is about to end: Ctrl-C is a signal again. */
void halo_screen_end(void);

/* For handlers of signals: others get the terminal, and after that it is as it was meanwhile. */
void halo_screen_leave(void);
void halo_screen_return(void);

#endif
