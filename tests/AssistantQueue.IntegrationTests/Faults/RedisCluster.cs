using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using AssistantQueue.IntegrationTests.Redis;
using StackExchange.Redis;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A Cluster of three masters with a replica each, all of them <c>redis-server</c> processes.</summary>
internal sealed class RedisCluster : IAsyncDisposable
{
    private const int Masters = 3;
    private const int Slots = 16_384;

    private readonly List<Node> _nodes = [];

    private RedisCluster()
    {
    }

    public string ConnectionString => string.Join(',', _nodes.Select(n => n.Instance.ConnectionString));

    public static async Task<RedisCluster> StartAsync()
    {
        var cluster = new RedisCluster();
        try
        {
            for (var i = 0; i < 2 * Masters; i++)
            {
                cluster._nodes.Add(await Node.StartAsync());
            }

            await cluster.FormAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Each of the replicas takes its master's place, one after the other, as an operator orders it: no write is lost.</summary>
    public async Task FailOverEachAsync()
    {
        foreach (var node in _nodes.Skip(Masters))
        {
            await FailOverAsync(node);
            await AgreedAsync();
        }
    }

    /// <summary>SIGKILL to the master that has a key; completes when its replica is the master, and it itself is back as the replica of that one.</summary>
    public async Task KillMasterAsync(RedisKey key)
    {
        var slot = (long)await _nodes[0].ExecuteAsync("CLUSTER", "KEYSLOT", key);
        var masters = await MastersAsync();
        var killed = await OwnerAsync(masters, slot);
        await killed.Instance.KillAsync();
        await Servers.AgreeAsync(async () => (await Task.WhenAll(_nodes.Where(n => !masters.Contains(n)).Select(RoleAsync))).Contains("master"), "a replica is the master");
        await killed.Instance.StartAgainAsync();
        await Servers.AgreeAsync(() => killed.AnswersAsync(), "the killed one answers");
        await AgreedAsync();
    }

    /// <summary>How many commands of a name the master that has a key has executed.</summary>
    public async Task<long> CallsAsync(RedisKey key, string command)
    {
        var slot = (long)await _nodes[0].ExecuteAsync("CLUSTER", "KEYSLOT", key);
        var statistics = (string)(await (await OwnerAsync(await MastersAsync(), slot)).ExecuteAsync("INFO", "commandstats"))!;
        var calls = Regex.Match(statistics, $"cmdstat_{command}:calls=([0-9]+)");
        return calls.Success ? long.Parse(calls.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
    }

    /// <summary>Moves a slot with its keys to another master, the way <c>redis-cli --cluster reshard</c> does.</summary>
    public async Task MoveSlotAsync(RedisKey key, Func<Task> halfWay)
    {
        var slot = (long)await _nodes[0].ExecuteAsync("CLUSTER", "KEYSLOT", key);
        var masters = await MastersAsync();
        var from = await OwnerAsync(masters, slot);
        var to = masters.First(m => m != from);
        await to.ExecuteAsync("CLUSTER", "SETSLOT", slot, "IMPORTING", from.Id);
        await from.ExecuteAsync("CLUSTER", "SETSLOT", slot, "MIGRATING", to.Id);
        await MoveKeysAsync(from, to, slot, atMost: 3);
        await halfWay();
        await MoveKeysAsync(from, to, slot, atMost: 1_000);
        await to.ExecuteAsync("CLUSTER", "SETSLOT", slot, "NODE", to.Id);
        await from.ExecuteAsync("CLUSTER", "SETSLOT", slot, "NODE", to.Id);
        await AgreedAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }
    }

    // A master that can't hand its place over within 5 s forgets that it was asked, and nobody is told.
    private static async Task FailOverAsync(Node replica)
    {
        var asked = Stopwatch.StartNew();
        await replica.ExecuteAsync("CLUSTER", "FAILOVER");
        await Servers.AgreeAsync(
            async () =>
            {
                if (await RoleAsync(replica) == "master")
                {
                    return true;
                }

                if (asked.Elapsed > TimeSpan.FromSeconds(6))
                {
                    asked.Restart();
                    await replica.ExecuteAsync("CLUSTER", "FAILOVER");
                }

                return false;
            },
            "a replica is the master");
    }

    private static async Task<string?> RoleAsync(Node node) => (string?)(await node.ExecuteAsync("ROLE"))[0];

    private static async Task MoveKeysAsync(Node from, Node to, long slot, int atMost)
    {
        while (((RedisKey[])(await from.ExecuteAsync("CLUSTER", "GETKEYSINSLOT", slot, Math.Min(atMost, 100)))!) is { Length: > 0 } keys)
        {
            await from.ExecuteAsync("MIGRATE", ["127.0.0.1", to.Port, "", 0, 5_000, "KEYS", .. keys.Select(k => (object)k)]);
            if ((atMost -= keys.Length) <= 0)
            {
                return;
            }
        }
    }

    private async Task FormAsync()
    {
        for (var i = 0; i < _nodes.Count; i++)
        {
            await _nodes[i].ExecuteAsync("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
            if (i < Masters)
            {
                await _nodes[i].ExecuteAsync("CLUSTER", "ADDSLOTSRANGE", i * Slots / Masters, ((i + 1) * Slots / Masters) - 1);
            }

            if (i > 0)
            {
                await _nodes[i].ExecuteAsync("CLUSTER", "MEET", "127.0.0.1", _nodes[0].Port, _nodes[0].BusPort);
            }
        }

        await Servers.AgreeAsync(() => AllSayAsync("INFO", $"cluster_known_nodes:{_nodes.Count}"), "the nodes know each other");
        foreach (var (replica, master) in _nodes.Skip(Masters).Zip(_nodes))
        {
            await replica.ExecuteAsync("CLUSTER", "REPLICATE", master.Id);
        }

        await AgreedAsync();
    }

    // Every node sees a whole Cluster, every replica follows its master, and none is taken for something else.
    private async Task AgreedAsync()
    {
        await Servers.AgreeAsync(() => AllSayAsync("INFO", "cluster_state:ok"), "every node sees the Cluster whole");
        await Servers.AgreeAsync(
            async () =>
            {
                var replicas = 0;
                foreach (var node in _nodes)
                {
                    var info = (string)(await node.ExecuteAsync("INFO", "replication"))!;
                    replicas += info.Contains("master_link_status:up", StringComparison.Ordinal) ? 1 : 0;
                }

                return replicas == Masters;
            },
            "every replica follows");
    }

    private async Task<bool> AllSayAsync(string subcommand, string line)
    {
        foreach (var node in _nodes)
        {
            if (!((string)(await node.ExecuteAsync("CLUSTER", subcommand))!).Contains(line, StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    private async Task<List<Node>> MastersAsync()
    {
        var masters = new List<Node>();
        foreach (var node in _nodes)
        {
            if (await RoleAsync(node) == "master")
            {
                masters.Add(node);
            }
        }

        return masters;
    }

    private async Task<Node> OwnerAsync(List<Node> masters, long slot)
    {
        foreach (RedisResult range in (RedisResult[])(await _nodes[0].ExecuteAsync("CLUSTER", "SLOTS"))!)
        {
            if ((long)range[0] <= slot && slot <= (long)range[1])
            {
                var port = (int)range[2][1];
                return masters.Single(m => m.Port == port);
            }
        }

        throw new InvalidOperationException($"Nobody owns slot {slot}.");
    }

    /// <summary>One server, and a connection that speaks to it alone.</summary>
    private sealed record Node(RedisInstance Instance, ConnectionMultiplexer Connection, int BusPort, string Id) : IAsyncDisposable
    {
        public int Port { get; } = ((IPEndPoint)EndPointCollection.TryParse(Instance.ConnectionString)!).Port;

        public static async Task<Node> StartAsync()
        {
            var bus = FreePort.Find();
            var instance = await RedisInstance.StartDedicatedAsync(new RedisInstanceOptions
            {
                Kind = RedisKind.Process,
                Arguments =
                [
                    "--cluster-enabled", "yes", "--cluster-port", bus.ToString(CultureInfo.InvariantCulture),
                    "--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0",
                ],
            });
            var connection = await instance.ConnectAsync();
            var id = (string)(await connection.GetServer(instance.ConnectionString).ExecuteAsync("CLUSTER", "MYID"))!;
            return new(instance, connection, bus, id);
        }

        public Task<RedisResult> ExecuteAsync(string command, params object[] arguments) =>
            Connection.GetServer(Instance.ConnectionString).ExecuteAsync(command, arguments);

        public async Task<bool> AnswersAsync()
        {
            try
            {
                await ExecuteAsync("PING");
                return true;
            }
            catch (RedisException)
            {
                // The connection isn't back, or the server reads its data.
                return false;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await Connection.DisposeAsync();
            await Instance.DisposeAsync();
        }
    }
}
