-- Uses of coroutines that have nothing to do with halo: run by halo and by plain LuaJIT they have
-- the same outcome. spec/coroutine_stock_spec.lua compares them. A case returns what is compared.

local create, isyieldable, resume = coroutine.create, coroutine.isyieldable, coroutine.resume
local running, status, wrap, yield = coroutine.running, coroutine.status, coroutine.wrap,
  coroutine.yield

local cases = {}

local function case(name, fn)
  table.insert(cases, { name = name, fn = fn })
end

-- Values ------------------------------------------------------------------------------------------

case("values pass both ways", function()
  local co = create(function(...)
    local second = yield("first", ...)
    local third = yield("second", second)
    return "third", third
  end)
  return { resume(co, 1, 2) }, { resume(co, 3) }, { resume(co, 4) }
end)

case("nils among them are kept, and counted", function()
  local co = create(function(...)
    return select("#", ...), select("#", yield(nil, nil)), nil
  end)
  return select("#", resume(co, nil, nil, nil)), select("#", resume(co, nil)), resume(co)
end)

case("nothing is nothing", function()
  local co = create(function() return select("#", yield()) end)
  return select("#", resume(co)), resume(co)
end)

case("there may be thousands of them", function()
  local many = {}
  for i = 1, 5000 do
    many[i] = i
  end
  local co = create(function(...) return select("#", yield(...)) end)
  return select("#", resume(co, unpack(many))), resume(co, unpack(many))
end)

case("a yield may be a tail call", function()
  local co = create(function(...) return yield(...) end)
  return { resume(co, "out") }, { resume(co, "in") }, { resume(co) }
end)

case("wrap gives them without the flag", function()
  local take = wrap(function(...)
    yield(...)
    yield(nil, false)
  end)
  return { take("a", "b") }, { take() }, select("#", take())
end)

-- Life --------------------------------------------------------------------------------------------

case("status tells each state", function()
  local seen = {}
  local outer, inner
  outer = create(function()
    table.insert(seen, status(outer))
    inner = create(function()
      table.insert(seen, status(outer))
      table.insert(seen, status(inner))
      yield()
    end)
    resume(inner)
    table.insert(seen, status(inner))
  end)
  table.insert(seen, status(outer))
  resume(outer)
  table.insert(seen, status(outer))
  local failing = create(error)
  resume(failing)
  table.insert(seen, status(failing))
  return unpack(seen)
end)

case("running is the innermost coroutine", function()
  local outer, inner, seen
  outer = create(function()
    inner = create(function() return running() end)
    seen = select(2, resume(inner))
    return running()
  end)
  local own = select(2, resume(outer))
  return own == outer, seen == inner, (running()) ~= outer
end)

case("isyieldable is false outside, true inside", function()
  local inside = wrap(isyieldable)
  return isyieldable(), inside()
end)

case("isyieldable knows what lies between", function()
  return resume(create(function()
    local in_pcall = select(2, pcall(isyieldable))
    local in_metamethod = setmetatable({}, { __index = isyieldable }).field
    local in_sort
    table.sort({ 1, 2 }, function() in_sort = isyieldable() end)
    local in_handler = select(2, xpcall(error, isyieldable))
    return in_pcall, in_metamethod, in_sort, in_handler
  end))
end)

case("a coroutine that has ended cannot be resumed", function()
  local co = create(function() return "result" end)
  return { resume(co) }, { resume(co) }, { resume(co) }
end)

case("nor can one that has failed", function()
  local co = create(function() error("failure", 0) end)
  return { resume(co) }, { resume(co) }, status(co)
end)

case("nor can the one that is running", function()
  return resume(create(function() return resume(running()) end))
end)

case("nor can one that has resumed another", function()
  local outer
  outer = create(function()
    return resume(create(function() return resume(outer) end))
  end)
  return resume(outer)
end)

case("a suspended one may be resumed from anywhere", function()
  local co = create(function()
    yield(1)
    yield(2)
    return 3
  end)
  local from_another = wrap(function() return resume(co) end)
  return { resume(co) }, { from_another() }, { pcall(resume, co) }, status(co)
end)

case("one that is forgotten is collected", function()
  local kept = setmetatable({}, { __mode = "v" })
  kept[1] = create(yield)
  resume(kept[1])
  collectgarbage()
  collectgarbage()
  return kept[1]
end)

case("a C function may be its body", function()
  return { resume(create(string.upper), "text") }, { resume(create(yield), "text") },
    { wrap(wrap(string.upper))("text") }, { resume(create(resume), create(string.upper), "text") }
end)

-- Errors ------------------------------------------------------------------------------------------

case("resume gives an error value as it is", function()
  local value = {}
  local raised = select(2, resume(create(error), value))
  return raised == value, { resume(create(error)) }, { resume(create(error), false) },
    { resume(create(error), 42) }
end)

case("resume gives the message with the position of the error", function()
  return resume(create(function() error("failure") end))
end)

case("a level counts the coroutine's own frames", function()
  local function fail() error("failure", 2) end
  return resume(create(function()
    fail()
    return "not reached"
  end))
end)

case("wrap raises an error value as it is", function()
  local value = {}
  local raised = select(2, pcall(wrap(error), value))
  return raised == value, { pcall(wrap(error)) }, { pcall(wrap(error), false) }
end)

case("wrap puts its caller's position before a message", function()
  local take = wrap(function() error("failure") end)
  local function call()
    local result = take()
    return result
  end
  return pcall(call)
end)

case("and so does each wrap that it passes", function()
  local function fail() error("failure") end
  local inner = wrap(function() local result = wrap(fail)() return result end)
  local function call()
    local result = inner()
    return result
  end
  return pcall(call)
end)

case("wrap raises where it is called after its end", function()
  local take = wrap(function() end)
  take()
  local function call()
    local result = take()
    return result
  end
  return pcall(call)
end)

case("a runtime error is one like others", function()
  return resume(create(function() return nil + 1 end))
end)

case("an endless recursion in it ends it", function()
  local function recurse() return 1 + recurse() end
  local co = create(recurse)
  local ok, message = resume(co)
  return ok, message:match("stack overflow"), status(co)
end)

-- What lies between yield and resume --------------------------------------------------------------

case("pcall", function()
  local co = create(function()
    local first = { pcall(function() return "in", yield("out") end) }
    local second = { pcall(function()
      yield("out again")
      error("failure", 0)
    end) }
    return first, second
  end)
  return { resume(co) }, { resume(co, "value") }, { resume(co) }
end)

case("xpcall, whose handler gets the error", function()
  local co = create(function()
    return xpcall(function(...)
      yield(...)
      error("failure", 0)
    end, function(message) return "handled: " .. message end, "argument")
  end)
  return { resume(co) }, { resume(co) }
end)

case("every metamethod", function()
  local meta = {}
  for _, event in ipairs {
    "add", "sub", "mul", "div", "mod", "pow", "unm", "concat", "index", "eq", "lt", "le", "call",
  } do
    meta["__" .. event] = function() return yield(event) end
  end
  function meta.__newindex(_, key, value) yield("newindex " .. key .. value) end
  local a, b = setmetatable({}, meta), setmetatable({}, meta)
  local co = create(function()
    a.key = "=value"
    return a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a .. b, a.field, a == b, a < b, a <= b, a()
  end)
  local events = {}
  while status(co) == "suspended" do
    table.insert(events, { resume(co, #events) })
  end
  return events
end)

case("an iterator", function()
  local co = create(function()
    local sum = 0
    for value in function() return yield("next") end do
      sum = sum + value
    end
    return sum
  end)
  return { resume(co) }, { resume(co, 1) }, { resume(co, 2) }, { resume(co, nil) }
end)

case("nothing of C that was not made for it", function()
  local function in_coroutine(fn, ...) return { resume(create(fn), ...) } end
  return in_coroutine(table.sort, { 1, 2 }, yield), in_coroutine(string.gsub, "a", "a", yield),
    in_coroutine(load, yield), in_coroutine(xpcall, error, yield)
end)

-- Programs ----------------------------------------------------------------------------------------

case("a recursive generator", function()
  local function permute(list, n)
    if n == 0 then
      yield(table.concat(list))
    end
    for i = 1, n do
      list[n], list[i] = list[i], list[n]
      permute(list, n - 1)
      list[n], list[i] = list[i], list[n]
    end
  end
  local all = {}
  for permutation in wrap(function() permute({ "a", "b", "c", "d" }, 4) end) do
    table.insert(all, permutation)
  end
  return unpack(all)
end)

case("a chain of filters", function()
  local function upwards()
    return wrap(function()
      for i = 2, math.huge do
        yield(i)
      end
    end)
  end
  local function without_multiples(prime, source)
    return wrap(function()
      for n in source do
        if n % prime ~= 0 then
          yield(n)
        end
      end
    end)
  end
  local source, primes = upwards(), {}
  for i = 1, 15 do
    primes[i] = source()
    source = without_multiples(primes[i], source)
  end
  return unpack(primes)
end)

case("a nest of a hundred", function()
  local function nest(depth)
    if depth == 0 then
      return yield("bottom")
    end
    return wrap(nest)(depth - 1)
  end
  local outermost = wrap(nest)
  return outermost(100), pcall(outermost, "back")
end)

case("a producer and a consumer that resume each other in turn", function()
  local log = {}
  local producer = create(function()
    for i = 1, 3 do
      table.insert(log, "made " .. i)
      yield(i)
    end
  end)
  local consumer = wrap(function()
    while true do
      local _, item = resume(producer)
      if not item then
        return
      end
      table.insert(log, "used " .. item)
      yield()
    end
  end)
  for _ = 1, 4 do
    consumer()
  end
  return unpack(log)
end)

-- Looking at them ---------------------------------------------------------------------------------

case("debug.traceback shows where it is suspended", function()
  local co = create(function()
    local function inner() return (yield()) end
    return (inner())
  end)
  resume(co)
  return debug.traceback(co), debug.traceback(co, "message", 1)
end)

case("debug.traceback shows where it has failed", function()
  local co = create(function()
    local function inner() error("failure") end
    inner()
    return "not reached"
  end)
  resume(co)
  return debug.traceback(co)
end)

case("debug.getinfo and debug.getlocal look into it", function()
  local co = create(function()
    local secret = "value"
    yield(secret)
  end)
  resume(co)
  return debug.getinfo(co, 1, "l").currentline, { debug.getlocal(co, 1, 1) }
end)

return cases
