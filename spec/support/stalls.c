/*
 * stalls FILE: notes when this machine stands still, as one does whose host is busy. On each
 * processor a thread sleeps for 10 ms at a time; where it wakes 100 ms late, a line says when the
 * sleep began and when it ended, in seconds of CLOCK_MONOTONIC. It ends with who has started it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_S 0.01
#define LATE_S  0.1

static int output;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* On the processor of this number, where this process may use it. */
static void *watch(void *number)
{
    cpu_set_t processor;
    CPU_ZERO(&processor);
    CPU_SET((uintptr_t)number, &processor);
    if (sched_setaffinity(0, sizeof(processor), &processor) < 0)
        return NULL;
    double before = now();
    for (;;) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(SLEEP_S * 1e9)}, NULL);
        double after = now();
        if (after - before > SLEEP_S + LATE_S)
            dprintf(output, "%.3f %.3f\n", before, after);
        before = after;
    }
}

int main(int argc, char **argv)
{
    output = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644) : -1;
    if (output < 0) {
        fprintf(stderr, "usage: stalls FILE\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    for (long i = 0; i < processors; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, watch, (void *)(uintptr_t)i) != 0)
            return 1;
    }
    for (;;)
        pause();
}
