/*
 * kill_within SIGNAL COUNT MICROSECONDS COMMAND...: starts a command as often as that, and sends it
 * the signal, a number, at a random moment of that time after it has printed "ready". What it
 * prints before goes to the output; it ends with 1 as soon as the command does not end by that
 * signal.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(char **command, FILE **output)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(command[0], command);
        _exit(127);
    }
    close(ends[1]);
    *output = fdopen(ends[0], "r");
    return child;
}

/* Whether it said that it was ready. */
static int await_ready(FILE *output)
{
    char line[512];
    while (fgets(line, sizeof(line), output)) {
        if (strcmp(line, "ready\n") == 0)
            return 1;
        fputs(line, stdout);
    }
    return 0;
}

static int kill_once(char **command, int signal, unsigned most_us)
{
    FILE *output = NULL;
    unsigned moment = 0;
    int status = 0;
    pid_t child = start(command, &output);
    if (child < 0)
        return -1;
    int ready = await_ready(output);
    if (getrandom(&moment, sizeof(moment), 0) < 0)
        moment = 0;
    usleep(moment % (most_us + 1));
    kill(child, signal);
    waitpid(child, &status, 0);
    fclose(output);
    if (ready && WIFSIGNALED(status) && WTERMSIG(status) == signal)
        return 0;
    fprintf(stderr, "kill_within: it ended by %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return -1;
}

int main(int argc, char **argv)
{
    int signal = argc > 4 ? atoi(argv[1]) : 0;
    long count = argc > 4 ? atol(argv[2]) : -1, most_us = argc > 4 ? atol(argv[3]) : -1;
    if (signal <= 0 || count < 0 || most_us < 0) {
        fprintf(stderr, "usage: kill_within SIGNAL COUNT MICROSECONDS COMMAND...\n");
        return 2;
    }
    for (long i = 0; i < count; i++)
        if (kill_once(argv + 4, signal, (unsigned)most_us) != 0) {
            fprintf(stderr, "kill_within: the command ended otherwise, at %ld of %ld\n", i, count);
            return 1;
        }
    return 0;
}
