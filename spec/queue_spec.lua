-- halo.queue and halo.waiters, beside the plainest lists that do the same.

local Queue = require "halo.queue"
local random = require "spec.support.random"
local waiters = require "halo.waiters"

local seed = random.seed "queue"

---The items of a queue, in order.
local function items_of(queue)
  local items = {}
  for i = 1, queue:size() do
    items[i] = queue:at(i)
  end
  return items
end

describe("a queue", function()
  it("gives what was put in, in its order, as a list does that is shifted", function()
    local number, queue, list, pushed = random.new(seed), Queue.new(), {}, 0
    for round = 1, 20000 do
      local action = number(round % 4000 < 2000 and 3 or 5) -- it grows, then shrinks
      if action <= 2 then
        pushed = pushed + 1
        queue:push(pushed)
        table.insert(list, pushed)
      elseif action == 3 and #list > 0 and number(4) == 1 then
        queue:remove(table.remove(list, number(math.min(#list, 20))))
      else
        assert.equal((table.remove(list, 1)), queue:pop())
      end
      assert.equal(#list, queue:size())
      assert.equal(list[1], queue:at(1))
      assert.equal(list[#list], queue:at(queue:size()))
    end
    assert.same(list, items_of(queue))
  end)

  it("has nothing where it is empty, nor beyond its end", function()
    local queue = Queue.new()
    assert.is_nil(queue:pop())
    assert.is_nil(queue:at(1))
    queue:push(false)
    queue:remove(5)
    assert.is_nil(queue:at(2))
    assert.is_false(queue:at(1))
    assert.is_false(queue:pop())
    assert.equal(0, queue:size())
  end)

  it("gives the memory back that many items took at once", function()
    local queue = Queue.new()
    collectgarbage()
    local before = collectgarbage "count"
    for i = 1, 200000 do
      queue:push(i)
    end
    for _ = 1, 200000 do
      queue:pop()
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 100)
  end)
end)

describe("a list of waiters", function()
  it("gives them in the order of their coming, without those that have gone", function()
    local number, list, expected = random.new(seed), waiters.new(), {}
    for _ = 1, 20000 do
      local action = number(4)
      if action <= 2 then
        local entry = {}
        waiters.push(list, entry)
        table.insert(expected, entry)
      elseif action == 3 and #expected > 0 then
        local entry = table.remove(expected, number(math.min(#expected, 20)))
        waiters.remove(entry)
        waiters.remove(entry) -- which changes nothing
      else
        assert.equal((table.remove(expected, 1)), waiters.pop(list))
      end
    end
    for _, entry in ipairs(expected) do
      assert.equal(entry, waiters.pop(list))
    end
    assert.is_nil(waiters.pop(list))
  end)
end)
