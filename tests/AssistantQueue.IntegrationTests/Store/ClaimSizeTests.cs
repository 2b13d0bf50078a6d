using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Store;

/// <summary>Script claim: how much fits into a batch, and into one call.</summary>
public abstract class ClaimSizeTests(StoreServer server) : StoreTest(server)
{
    [Fact]
    public async Task Claim_MoreThanABatchHolds_SealsTheOldest()
    {
        Options.MaxBatchMessages = 2;
        await Seed.WaitingAsync("c", -1, "a", "b", "c");

        Assert.Equal(["a", "b"], Texts(await ClaimOneAsync()));
        Assert.Equal(["a", "b", "c"], await Read.WaitingAsync("c"));
    }

    [Theory]
    [InlineData(10, new[] { "12345", "67890", "x" }, 2)]
    [InlineData(9, new[] { "12345", "67890", "x" }, 1)]
    [InlineData(11, new[] { "12345", "67890", "x" }, 3)]
    [InlineData(3, new[] { "12345", "67890", "x" }, 1)]
    [InlineData(5, new[] { "1", "234567", "8" }, 1)]
    public async Task Claim_MoreCharactersThanABatchHolds_SealsWhatFitsAndAtLeastOne(int characters, string[] texts, int expected)
    {
        Options.MaxBatchCharacters = characters;
        await Seed.WaitingAsync("c", -1, texts);

        Assert.Equal(texts[..expected], Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Claim_RunningSumsOfAThreadThatWasTrimmed_CountFromItsOldest()
    {
        Options.MaxBatchCharacters = 6;
        await Seed.WaitingAsync("c", -1, "12345", "678", "901", "2");
        await Database.ListLeftPopAsync(P + ":messages:c");
        await Seed.CounterAsync("pending", -1);

        Assert.Equal(["678", "901"], Texts(await ClaimOneAsync()));
    }

    [Theory]
    [InlineData(900, new[] { "12345", "678" })]
    [InlineData(1_008, new[] { "12345", "678" })]
    public async Task Claim_MessagesThatWerePutBackBeforeNewerOnes_CountsEachMessagesCharacters(long sumBefore, string[] expected)
    {
        Options.MaxBatchCharacters = 9;
        await Seed.WaitingAsync("c", -1, "678", "90", "1");
        await Database.ListLeftPushAsync(P + ":messages:c", $"{Seed.FirstSequence - 1} {sumBefore} 5 12345");
        await Seed.CounterAsync("pending", 1);
        await Seed.ThreadAsync("c", ("batch", "b-c"), ("first", Seed.FirstSequence - 1), ("last", Seed.FirstSequence - 1), ("count", 1), ("posted", "0"));

        Assert.Equal(expected, Texts(await ClaimOneAsync()));
    }

    [Fact]
    public async Task Claim_ManyLargeThreads_StopsAtTheBudget()
    {
        var large = new string('x', 190_000);
        for (var i = 0; i < 10; i++)
        {
            await Seed.WaitingAsync("c" + i, -100 + i, large);
        }

        var outcome = await ClaimAsync(max: 10);

        Assert.InRange(outcome.Batches.Count, 5, 7);
        Assert.Equal(10 - outcome.Batches.Count, (await Read.MembersAsync("due")).Length);
        Assert.Equal(TimeSpan.Zero, outcome.NextLook);
    }
}

public sealed class ClaimSizeOnRedisTests() : ClaimSizeTests(StoreServer.Redis);

public sealed class ClaimSizeOnGarnetTests() : ClaimSizeTests(StoreServer.Garnet);
