using System.ClientModel;
using System.Text.Json.Nodes;
using AssistantQueue.Emulators;
using OpenAI.Conversations;

namespace AssistantQueue.Tests.Emulators;

/// <summary>Conversations and their items, and what a response does to them.</summary>
public sealed class ConversationsTests : EmulatorTest
{
    [Fact]
    public async Task Conversation_CreatedUpdatedAndDeleted_IsGone()
    {
        var created = (await Conversations.CreateConversationAsync(new ConversationCreationOptions { Metadata = { ["a"] = "1" } }, Ct)).Value;
        await Conversations.UpdateConversationAsync(created.Id, new ConversationUpdateOptions { Metadata = { ["a"] = "2" } }, Ct);
        var read = (await Conversations.GetConversationAsync(created.Id, Ct)).Value;
        await Conversations.DeleteConversationAsync(created.Id, Ct);

        Assert.Equal("2", read.Metadata["a"]);
        Assert.Equal(404, (await SendAsync("GET", $"conversations/{created.Id}")).Status);
    }

    [Fact]
    public async Task Items_CreatedListedReadAndDeleted_ThroughTheSdk()
    {
        var id = await NewConversationAsync();
        var made = await Conversations.CreateConversationItemsAsync(id, BinaryContent.Create(BinaryData.FromString("""{"items":[{"type":"message","role":"user","content":"one"},{"role":"assistant","content":"two"}]}""")));
        var item = (string)JsonNode.Parse(made.GetRawResponse().Content)!["last_id"]!;

        var one = JsonNode.Parse((await Conversations.GetConversationItemAsync(id, item)).GetRawResponse().Content)!;
        await Conversations.DeleteConversationItemAsync(id, item);

        Assert.Equal("two", (string?)one["content"]![0]!["text"]);
        Assert.Equal(["one"], await TextsAsync(id));
    }

    [Fact]
    public async Task Items_PagedByAfter_ComeInOrder()
    {
        var id = await NewConversationAsync();
        await PostAsync($"conversations/{id}/items", """{"items":[{"role":"user","content":"1"},{"role":"user","content":"2"},{"role":"user","content":"3"}]}""");

        var first = (await SendAsync("GET", $"conversations/{id}/items?order=asc&limit=2")).Body;
        var second = (await SendAsync("GET", $"conversations/{id}/items?order=asc&limit=2&after={first["last_id"]}")).Body;

        Assert.True((bool)first["has_more"]!);
        Assert.False((bool)second["has_more"]!);
        Assert.Equal("3", (string?)second["data"]![0]!["content"]![0]!["text"]);
    }

    [Theory]
    [InlineData(ItemsVisible.AtCompletion, false, 0, 0)]
    [InlineData(ItemsVisible.AtCompletion, true, 0, 1)]
    [InlineData(ItemsVisible.AtOnce, false, 1, 1)]
    public async Task Items_OfACancelledResponse_ShowAsTheSwitchesSay(ItemsVisible visible, bool failedKeepsInput, int before, int after)
    {
        Emulator.Options.ItemsVisible = visible;
        Emulator.Options.FailedKeepsInput = failedKeepsInput;
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds });
        var id = await NewConversationAsync();
        var response = await PostAsync("responses", $$"""{"model":"m","background":true,"conversation":"{{id}}","input":"hi"}""");

        Assert.Equal(before, (await TextsAsync(id)).Length);
        await PostAsync($"responses/{response.Body["id"]}/cancel", "");
        Assert.Equal(after, (await TextsAsync(id)).Length);
        Assert.Equal(after, Emulator.Ledger.Snapshot().TextsOf(id).Count);
    }

    [Fact]
    public async Task Items_OfAResponse_ShowWhenItHasCompleted()
    {
        var id = await NewConversationAsync();
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunTakesLong, Delay = TimeSpan.FromMilliseconds(300) });
        var response = await PostAsync("responses", $$"""{"model":"m","background":true,"conversation":"{{id}}","input":"hi"}""");

        Assert.Empty(await TextsAsync(id));
        await EndOfAsync((string)response.Body["id"]!);
        Assert.Equal(["hi", "You wrote: “hi”."], await TextsAsync(id));
    }

    [Fact]
    public async Task BackgroundResponse_WithoutTheLock_LetsAnotherBegin()
    {
        Emulator.Options.BackgroundLocksConversation = false;
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunNeverEnds, Count = 1 });
        var id = await NewConversationAsync();
        var first = await PostAsync("responses", $$"""{"model":"m","background":true,"conversation":"{{id}}","input":"one"}""");

        var second = await PostAsync("responses", $$"""{"model":"m","background":true,"conversation":"{{id}}","input":"two"}""");

        Assert.Equal(200, second.Status);
        var ledger = await EndOfAsync((string)second.Body["id"]!);
        Assert.Equal(new LedgerOverlap(id, (string)first.Body["id"]!, (string)second.Body["id"]!), Assert.Single(ledger.Overlaps));
    }

    private async Task<string[]> TextsAsync(string id) =>
        [.. (await SendAsync("GET", $"conversations/{id}/items?order=asc&limit=100")).Body["data"]!.AsArray().Select(i => (string)i!["content"]![0]!["text"]!)];
}
