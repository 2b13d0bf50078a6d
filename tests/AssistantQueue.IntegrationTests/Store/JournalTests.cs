using AssistantQueue.Redis;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script journal: written under the fence, with the conversation's changes.</summary>
public abstract class JournalTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Journal_Owner_WritesJournalAndConversation()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Database.HashSetAsync(P + ":conversation:c", [new("old", "1"), new("id", "x")]);

        var changes = await ChangesOfAsync(async () => Assert.True(await WriteAsync(lease, "j1", true, new("id", "conv_1"), new("old", null), new("empty", ""))));

        Assert.Equal(["~conversation:c", "~thread:c"], changes);
        var hash = await Read.HashAsync("thread:c");
        Assert.Equal(("j1", "1", "1"), (hash["journal"], hash["adoptable"], hash["posted"]));
        Assert.Equal(new Dictionary<string, string> { ["id"] = "conv_1", ["empty"] = "" }, await Read.HashAsync("conversation:c"));
        Assert.Null(await Read.LifetimeAsync("conversation:c"));
    }

    [Fact]
    public async Task Journal_Repeated_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await RunAsync(lease, "j1", revision: 1);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", await RunAsync(lease, "j1", revision: 1))));
    }

    [Fact]
    public async Task Journal_ArrivesBehindANewerOne_ChangesNothing()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await RunAsync(lease, "newer", revision: 2);

        Assert.Empty(await ChangesOfAsync(async () => Assert.Equal("1", await RunAsync(lease, "older", revision: 1))));
    }

    [Fact]
    public async Task Journal_ConversationRetention_IsSet()
    {
        Options.ConversationRetention = TimeSpan.FromHours(1);
        var lease = await Seed.RunningAsync("c", ["a"]);

        await WriteAsync(lease, "j1", false, new KeyValuePair<string, string?>("id", "conv_1"));

        Assert.InRange((await Read.LifetimeAsync("conversation:c"))!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromHours(1));
    }

    [Theory]
    [InlineData("fence")]
    [InlineData("worker")]
    [InlineData("batch")]
    public async Task Journal_NotTheOwner_ChangesNothing(string wrong)
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        var other = wrong switch
        {
            "fence" => lease with { Fence = 6 },
            "worker" => lease with { WorkerId = "w2" },
            _ => lease with { BatchId = "b-other" },
        };

        Assert.Empty(await ChangesOfAsync(async () => Assert.False(await WriteAsync(other, "j2", true, new KeyValuePair<string, string?>("id", "x")))));
    }

    [Fact]
    public async Task Journal_EndedLeaseThatNobodyClaimed_IsWritten()
    {
        var lease = await Seed.RunningAsync("c", ["a"], leaseIn: -5_000);

        Assert.True(await WriteAsync(lease, "j1", false));
    }

    [Fact]
    public async Task Journal_ForeignConversation_IsMovedAside()
    {
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync("conversation:c");

        Assert.True(await WriteAsync(lease, "j1", false, new KeyValuePair<string, string?>("id", "conv_1")));

        Assert.Equal("foreign", await Read.StringAsync("foreign:conversation:c"));
        Assert.Equal("conv_1", (await Read.HashAsync("conversation:c"))["id"]);
    }

    [Fact]
    public async Task Journal_ForeignThread_IsNotWritten()
    {
        IsConsistent = false;
        var lease = await Seed.RunningAsync("c", ["a"]);
        await Seed.ForeignAsync("thread:c");

        Assert.Empty(await ChangesOfAsync(async () => Assert.False(await WriteAsync(lease, "j1", false))));
    }

    private async Task<string> RunAsync(Lease lease, string journal, int revision) =>
        (string)(await Calls.RunAsync(RedisScript.Journal, lease.ThreadId, lease.WorkerId, lease.Fence, lease.BatchId, journal, "0", 0, revision, 0))!;

    private Task<bool> WriteAsync(Lease lease, string journal, bool adoptable, params KeyValuePair<string, string?>[] conversation) =>
        Store.WriteJournalAsync(lease, new JournalWrite(journal, adoptable, conversation), Ct);
}

public sealed class JournalOnRedisTests() : JournalTests(StoreServer.Redis);

public sealed class JournalOnGarnetTests() : JournalTests(StoreServer.Garnet);
