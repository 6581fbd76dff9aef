/*
 * What a command needs of the system besides files: its words, its terminal, and how it ends.
 * Programs that embed the library own their process: nothing in lib/ calls these functions.
 */
#ifndef PLK_PLATFORM_PROGRAM_H
#define PLK_PLATFORM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * First of all in main(). Afterwards the words of argv are UTF-8, the standard streams do not
 * translate line ends, the console shows UTF-8, and no file that is opened gets the number of a
 * standard stream that the parent closed: such a stream is there, and using it is an error. false:
 * the system refuses.
 */
bool plk_program_start(int *argc, char ***argv);

/* Ends the process at once: nothing is flushed. A signal handler may call it. */
_Noreturn void plk_program_exit(int code);

/* Whether it is a terminal that understands ANSI control sequences. A signal handler may call it.
 */
bool plk_is_terminal(int descriptor);

/* The width of the terminal, 0 if there is none or it does not say. */
unsigned plk_terminal_columns(int descriptor);

/* Whether text of the user's locale is UTF-8. setlocale() was called for LC_CTYPE. */
bool plk_locale_is_utf8(void);

/*
 * Signals that end the process: on POSIX all whose default does, which the parent may send too; on
 * Windows Ctrl+C, Ctrl+Break and the end of the console or session. What the parent ignores stays
 * ignored (nohup), except for a closed pipe, which ends the process quietly wherever there is a
 * signal for it.
 *
 * From now on clean() is called before such a signal ends the process, in the way in which it would
 * have ended it: the parent sees the signal. clean() runs in a signal handler, or on a thread of
 * its own on Windows. It may call what this header and platform_file.h allow to signal handlers.
 * Calling plk_signals_watch() again takes plk_interrupt_catch() back.
 */
void plk_signals_watch(void (*clean)(void));

/* Lets these signals wait, true, or come again, false. Does not nest. */
void plk_signals_hold(bool hold);

/* The first interruption by the user (SIGINT, SIGTERM and SIGHUP, unless they are ignored) is only
 * kept from now on; the next one ends the process as plk_signals_watch() says. */
void plk_interrupt_catch(void);

/* Whether one was kept. */
bool plk_interrupt_is_caught(void);

/* Ends the process as the one that was kept would have, without clean(). */
void plk_interrupt_end(void);

/*
 * From now on report() is called when a thread touches a part of a mapped file that cannot be read,
 * for example because the file has become shorter (SIGBUS of POSIX). It runs once, in a signal
 * handler on that thread, and ends the process with plk_program_exit(). A SIGBUS that was sent by a
 * process ends this one as those of plk_signals_watch() do. Does nothing on a system without such
 * faults.
 */
void plk_map_fault_watch(void (*report)(void));

/* Writes text to standard error, as far as it can; for signal handlers. */
void plk_error_write(const char *text, size_t n);

#endif
