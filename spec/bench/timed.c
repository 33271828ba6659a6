/*
 * timed: what a whole process takes, from its start to its end, in nanoseconds.
 *
 *     timed COUNT COMMAND...       the mean of COUNT runs, output thrown away
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t now_nsec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run(char **command, posix_spawn_file_actions_t *actions)
{
    pid_t pid;
    int status;
    int error = posix_spawnp(&pid, command[0], actions, NULL, command, environ);
    if (error != 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "timed: %s: %s\n", command[0], error ? strerror(error) : "it failed");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    posix_spawn_file_actions_t actions;
    int count = argc > 2 ? atoi(argv[1]) : 0;

    if (count <= 0) {
        fprintf(stderr, "usage: timed COUNT COMMAND...\n");
        return 2;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    uint64_t start = now_nsec();
    for (int i = 0; i < count; i++)
        run(argv + 2, &actions);
    printf("%.1f\n", (double)(now_nsec() - start) / count);
    return 0;
}
