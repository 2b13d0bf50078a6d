using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>A batch's way over Responses, read as a stream: in the background, and without it.</summary>
public class StreamedResponsesTests : BackendTest
{
    protected override void Configure(OpenAIOptions options)
    {
        options.Model = "gpt-test";
        options.Stream = true;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_Streamed_TellsTheTextAsItIsWritten(bool background)
    {
        var batch = new StoredBatch("t", "hi", "there");

        var updates = await UpdatesAsync(NewBackend(o => o.Background = background), batch);

        var reply = Assert.IsType<RunCompleted>(updates[^1]);
        Assert.IsType<RunStarted>(updates[0]);
        Assert.Equal(reply.Text, string.Concat(updates.OfType<RunTextDelta>().Select(d => d.Text)));
        Assert.True(updates.OfType<RunTextDelta>().Count() > 3);
        Assert.Equal(background, batch.Saves[^1].IsAdoptable);
        Assert.Equal(reply.RunId, batch.Saves[^1].LastRound!.RunId);
    }

    [Theory]
    [InlineData(OpenAIFaultKind.CutStream)]
    [InlineData(OpenAIFaultKind.EndStream)]
    public async Task Run_BackgroundStreamEndsEarly_GoesOnWithoutLosingOrRepeatingText(OpenAIFaultKind kind)
    {
        SlowWords();
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = kind, AfterEvents = 8, Count = 1 });

        var updates = await UpdatesAsync(NewBackend(), new StoredBatch("t", "hi", "there"));

        Assert.Equal(((RunCompleted)updates[^1]).Text, string.Concat(updates.OfType<RunTextDelta>().Select(d => d.Text)));
        Assert.Single(Ledger.Runs);
    }

    [Fact]
    public async Task Run_ErrorInTheStreamOfAResponseThatGoesOn_IsFollowedById()
    {
        Emulator.Options.BackgroundLocksConversation = false;
        SlowWords();
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.ErrorInStream, AfterEvents = 2, Count = 1 });

        var reply = await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
        Assert.Equal("You wrote: “hi”.", reply.Text);
        Assert.Equal(1, Ledger.TimesPosted("hi"));
    }

    [Theory]
    [InlineData(null, BackendErrorKind.Transient)]
    [InlineData("insufficient_quota", BackendErrorKind.BackendUnavailable)]
    public async Task Run_ErrorInAPlainStreamThatGoesOnUnseen_IsClassifiedByItAndLookedFor(string? code, BackendErrorKind kind)
    {
        Emulator.Options.LostStream = LostClient.Completes;
        SlowWords();
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.ErrorInStream, AfterEvents = 2, Code = code, Count = 1 });
        var backend = NewBackend(o => o.Background = false);
        var batch = new StoredBatch("t", "hi");

        var failure = await FailAsync(backend, batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        var reply = await CompleteAsync(backend, batch);

        Assert.Equal((kind, true), (failure.Kind, failure.IsOutcomeUnknown));
        Assert.Equal("You wrote: “hi”.", reply.Text);
        Assert.Equal((1, 1), (Ledger.TimesPosted("hi"), Ledger.Runs.Count));
    }

    [Fact]
    public async Task Run_StreamsKeepEndingEarly_IsLookedAtById()
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.EndStream, AfterEvents = 2 });
        Emulator.Faults.Add(new() { Operation = "get_response", Contains = "stream=true", Kind = OpenAIFaultKind.Error });

        var reply = await CompleteAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(Assert.Single(Ledger.Runs).Id, reply.RunId);
    }

    [Theory]
    [InlineData(LostClient.Ends, 2)]
    [InlineData(LostClient.Completes, 1)]
    public async Task Run_PlainStreamCut_IsLookedForBeforeItIsPostedAgain(LostClient lost, int posts)
    {
        SlowWords();
        Emulator.Options.LostStream = lost;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.CutStream, AfterEvents = 8, Count = 1 });
        var backend = NewBackend(o => o.Background = false);
        var batch = new StoredBatch("t", "/long 100\nhi");

        var failure = await FailAsync(backend, batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        await CompleteAsync(backend, batch);

        Assert.Equal(BackendErrorKind.Transient, failure.Kind);
        Assert.True(failure.IsOutcomeUnknown);
        Assert.Single(Ledger.TextsOf("t"));
        Assert.Equal(posts, Ledger.Runs.Count);
    }

    [Fact]
    public async Task Run_PlainStreamLeftByItsOwner_IsPostedAgainByTheNextOnlyWhenItIsGone()
    {
        var batch = new StoredBatch("t", "/slow 60\nhi");
        await LeaveAsync(NewBackend(o => o.Background = false), batch, update => update is RunStarted);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);

        var lost = Assert.Single(Ledger.Runs).Id;
        await LeaveAsync(NewBackend(o => o.Background = false), batch, update => update is RunStarted started && started.RunId != lost);

        Assert.Equal(2, Ledger.Runs.Count);
        Assert.Empty(Ledger.Overlaps);
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Run_PlainStreamCutAndItsItemsShowUpLaterThanTheWait_IsTheDocumentedCaseOfTwice()
    {
        SlowWords();
        Emulator.Options.LostStream = LostClient.Completes;
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.CutStream, AfterEvents = 8, Count = 1 });
        using var again = new PostedAgain();
        var backend = NewBackend(o => o.Background = false, services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(new LateItems())));
        var batch = new StoredBatch("t", "/long 100\nhi") { QueueName = again.Queue };

        await FailAsync(backend, batch);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);
        await CompleteAsync(backend, batch);

        Assert.Equal(["/long 100\nhi", "/long 100\nhi"], Ledger.TextsOf("t"));
        Assert.Equal(["responses unknown_outcome"], again.Counts);
        Assert.True(Time.Waited >= TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task Cancel_PlainStreamThatWasToldToStop_ItsConnectionIsClosedAndTheNextAttemptLooks()
    {
        var backend = NewBackend(o => o.Background = false);
        var batch = new StoredBatch("t", "/slow 60\nhi");
        // what the worker does at RunTimeout: it ends the run's token, and then asks for the cancellation
        await LeaveAsync(backend, batch, update => update is RunStarted);
        await Emulator.Ledger.WaitForAsync(l => !l.Open.Any(), Ct);

        var failure = await Assert.ThrowsAsync<AssistantBackendException>(() => backend.CancelAsync(batch.NextOwner(), Ct));

        Assert.Equal("lost", Assert.Single(Ledger.Runs).Status);
        Assert.True(failure.IsOutcomeUnknown);
        Assert.DoesNotContain(Ledger.Requests, r => r.Operation == "cancel_response");
    }

    [Fact]
    public async Task Run_BackgroundStreamLeftByItsOwner_IsAdopted()
    {
        var batch = new StoredBatch("t", "/slow 1\nhi");
        await LeaveAsync(NewBackend(), batch, update => update is RunStarted);

        await CompleteAsync(NewBackend(), batch);

        Assert.Single(Ledger.Runs);
    }

    [Theory]
    [InlineData("server_error", BackendErrorKind.Transient)]
    [InlineData("invalid_prompt", BackendErrorKind.Permanent)]
    public async Task Run_StreamedResponseFails_IsClassifiedByItsCode(string code, BackendErrorKind kind)
    {
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails, Code = code });

        var failure = await FailAsync(NewBackend(), new StoredBatch("t", "hi"));

        Assert.Equal(kind, failure.Kind);
        Assert.False(failure.IsOutcomeUnknown);
    }

    // a connection that is reset loses what the client has not read yet; with slow words the first events have been read
    private void SlowWords() => Emulator.Options.DeltaPause = TimeSpan.FromMilliseconds(30);
}
