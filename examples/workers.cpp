/*
 * workers: a host in C++ whose threads do the work that scripts wait for.
 *
 *     workers script.lua [argument...]
 *
 * The script has primes(n), which counts the primes below n in another thread and suspends the task
 * meanwhile: many run at once, as halo.map does it, while files are read and timers run.
 */
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <halo_lua.h>
#include <lua.hpp>

namespace
{

struct job {
    long below;
    long result;
    halo_lua_token token;
};

/* Hands jobs to its threads until it is destroyed. */
class pool
{
  public:
    explicit pool(unsigned count)
    {
        for (unsigned i = 0; i < count; i++)
            threads.emplace_back(&pool::work, this);
    }

    ~pool()
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            over = true;
        }
        changed.notify_all();
        for (auto &thread : threads)
            thread.join();
    }

    void add(job *added)
    {
        {
            std::lock_guard<std::mutex> guard(lock);
            jobs.push_back(added);
        }
        changed.notify_one();
    }

  private:
    void work();

    std::mutex lock;
    std::condition_variable changed;
    std::deque<job *> jobs;
    bool over = false;
    std::vector<std::thread> threads;
};

pool *workers;

bool is_prime(long number)
{
    for (long divisor = 2; divisor * divisor <= number; divisor++)
        if (number % divisor == 0)
            return false;
    return number > 1;
}

/* Runs on halo's own thread. L is NULL where the task was cancelled meanwhile. */
int push_result(lua_State *L, void *data)
{
    job *done = static_cast<job *>(data);
    long result = done->result;
    delete done;
    if (!L)
        return 0;
    lua_pushinteger(L, result);
    return 1;
}

void pool::work()
{
    std::unique_lock<std::mutex> guard(lock);
    for (;;) {
        changed.wait(guard, [this] { return over || !jobs.empty(); });
        if (jobs.empty())
            return;
        job *taken = jobs.front();
        jobs.pop_front();
        guard.unlock();
        for (long number = 2; number < taken->below; number++)
            taken->result += is_prime(number);
        /* Where it is refused, halo has been closed: the job remains ours. */
        if (!halo_lua_complete(taken->token, push_result, taken))
            delete taken;
        guard.lock();
    }
}

/* primes(n): what halo_lua_await() returns, when a thread has the answer. */
int primes(lua_State *L)
{
    long below = luaL_checkinteger(L, 1);
    halo_lua_token token = halo_lua_token_new(L, nullptr, nullptr);
    workers->add(new job{below, 0, token});
    return halo_lua_await(L, token);
}

int run(halo_lua *halo, char **argv)
{
    lua_State *L = halo_lua_state(halo);
    int count = 0;

    if (halo_lua_register(halo, "primes", primes) != 0 || luaL_loadfilex(L, argv[1], "t") != 0)
        return HALO_LUA_FAILED;
    while (argv[2 + count] && lua_checkstack(L, 1))
        lua_pushstring(L, argv[2 + count++]);
    return halo_lua_run(halo, L, count, 0);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::fprintf(stderr, "usage: workers script.lua [argument...]\n");
        return 2;
    }
    halo_lua *halo;
    if (int code = halo_lua_new(&halo, nullptr, nullptr)) {
        std::fprintf(stderr, "workers: %s\n", halo_lua_describe(code));
        return 1;
    }
    workers = new pool(std::thread::hardware_concurrency());
    int failed = run(halo, argv);
    if (failed)
        std::fprintf(stderr, "workers: %s\n", lua_tostring(halo_lua_state(halo), -1));
    halo_lua_close(halo, -1); /* what the threads answer later is refused */
    halo_lua_free(halo);
    delete workers;
    return failed ? 1 : 0;
}
