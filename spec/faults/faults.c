/* What is armed, and the count of it. */
#include "faults.h"

#include <pthread.h>

#include "ops/ops.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    enum faults_kind kind;
    int op, error;
    long nth, count;
    long seen, hits;
    const char *where, *way;
} armed;

static _Thread_local bool is_within;

bool faults_within(bool within)
{
    bool before = is_within;
    is_within = within;
    return before;
}

static bool is_due(void)
{
    if (armed.seen < armed.nth)
        return false;
    return armed.count < 0 || armed.seen < armed.nth + armed.count;
}

int faults_next(enum faults_kind kind, int op, const char *where, const char *way)
{
    int error = 0;

    /* A look before the lock: most of the time nothing is armed. */
    if (__atomic_load_n(&armed.kind, __ATOMIC_ACQUIRE) != kind)
        return 0;
    pthread_mutex_lock(&lock);
    if (armed.kind == kind && (armed.op == FAULTS_ANY_OP || armed.op == op)) {
        armed.seen++;
        if (is_due()) {
            armed.hits++;
            armed.where = where;
            armed.way = way;
            error = armed.error;
        }
    }
    pthread_mutex_unlock(&lock);
    return error;
}

void faults_arm(int kind, int op, long nth, long count, int error)
{
    faults_watch_instructions(kind == FAULTS_LUA);
    pthread_mutex_lock(&lock);
    armed.op = op;
    armed.error = error;
    armed.nth = nth;
    armed.count = count;
    armed.seen = armed.hits = 0;
    armed.where = armed.way = "";
    __atomic_store_n(&armed.kind, kind, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
}

long faults_disarm(void)
{
    pthread_mutex_lock(&lock);
    __atomic_store_n(&armed.kind, FAULTS_NONE, __ATOMIC_RELEASE);
    long seen = armed.seen;
    pthread_mutex_unlock(&lock);
    faults_watch_instructions(false);
    return seen;
}

long faults_hits(void)
{
    return armed.hits;
}

const char *faults_where(void)
{
    return armed.where;
}

const char *faults_way(void)
{
    return armed.way;
}

int faults_op_count(void)
{
    return HALO_OP_COUNT;
}

const char *faults_op_name(int op)
{
    return halo_op_table[op]->name;
}

bool faults_op_is_on_file(int op)
{
    return halo_op_table[op]->on_file;
}

bool faults_op_is_lengthy(int op)
{
    return halo_op_table[op]->lengthy;
}
