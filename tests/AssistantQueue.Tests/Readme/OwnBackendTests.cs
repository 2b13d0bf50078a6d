using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using AssistantQueue.Tests.Worker;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Tests.Readme;

/// <summary>The README's backend of an app's own works against a real server: it answers, streams, hands its job over, cancels, and never makes a job twice.</summary>
public sealed class OwnBackendTests
{
    [Fact]
    public async Task Example_Batches_AreJobsOfOneSessionWithTheirTextAsItIsWritten()
    {
        await using var jobs = await JobServer.StartAsync();
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));

        await rig.AddAsync("c1", "one");
        var first = await rig.Handler.NextReplyAsync();
        await rig.AddAsync("c1", "two");
        var second = await rig.Handler.NextReplyAsync();

        Assert.Equal(("You said one", "job-1"), (first.Text, first.RunId));
        Assert.Equal("You said two", second.Text);
        Assert.Equal([("", "one"), ("session-1", "two")], jobs.Posts.Select(p => (p.Session ?? "", string.Join("|", p.Texts))));
    }

    [Fact]
    public async Task Example_WorkerStopsInTheMiddle_NextOneGoesOnWithTheSameJob()
    {
        await using var jobs = await JobServer.StartAsync();
        jobs.HoldsBack = true;
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        var first = await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));
        await rig.AddAsync("c1", "one");
        await jobs.Looked.WaitAsync(TestTimes.Patience);
        await first.StopAsync(CancellationToken.None);
        jobs.HoldsBack = false;
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));

        Assert.Equal("You said one", (await rig.Handler.NextReplyAsync()).Text);
        Assert.Single(jobs.Posts);
    }

    [Fact]
    public async Task Example_AnswerOfAPostIsLost_IsPostedAgainWithTheSameKey()
    {
        await using var jobs = await JobServer.StartAsync();
        jobs.LosesAnswers = 1;
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));
        await rig.AddAsync("c1", "one");

        var reply = await rig.Handler.NextReplyAsync();

        Assert.Equal(("You said one", 2), (reply.Text, reply.Attempt));
        Assert.Equal(2, jobs.Posts.Count);
        Assert.Single(jobs.Posts.Select(p => p.Key).Distinct());
    }

    [Fact]
    public async Task Example_RunTimeout_CancelsTheJob()
    {
        await using var jobs = await JobServer.StartAsync();
        jobs.HoldsBack = true;
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.RunTimeout = TimeSpan.FromMilliseconds(500);
        rig.Options.MaxAttempts = 1;
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));
        await rig.AddAsync("c1", "one");

        await rig.Handler.NextFailureAsync();

        Assert.Equal(["job-1"], jobs.Cancelled);
    }

    [Fact]
    public async Task Example_JobFails_IsGivenUpWithItsWords()
    {
        await using var jobs = await JobServer.StartAsync();
        jobs.Fails = true;
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));
        await rig.AddAsync("c1", "one");

        var failure = await rig.Handler.NextFailureAsync();

        Assert.Equal((FailureKind.Permanent, "The job broke."), (failure.Kind, failure.Error));
        Assert.Single(jobs.Posts);
    }

    [Fact]
    public async Task Example_ServerDoesNotCancel_SaysThatTheJobMayStillRun()
    {
        await using var jobs = await JobServer.StartAsync();
        (jobs.HoldsBack, jobs.RefusesToCancel) = (true, true);
        await using var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        (rig.Options.RunTimeout, rig.Options.MaxAttempts) = (TimeSpan.FromMilliseconds(500), 1);
        await rig.StartWorkerAsync(backend: new JobsBackend(jobs.Client));
        await rig.AddAsync("c1", "one");

        await rig.Handler.NextFailureAsync();

        Assert.Contains(rig.Log.Collector.GetSnapshot(), r => r.Exception is HttpRequestException);
    }

    [Fact]
    public void Example_InTheReadme_HasAtMostFortyLines()
    {
        using var reader = new StreamReader(typeof(OwnBackendTests).Assembly.GetManifestResourceStream("README.md")!);
        var shown = Regex.Match(reader.ReadToEnd().ReplaceLineEndings("\n"), "<!-- snippet: backend -->\n```csharp\n(.*?)\n```", RegexOptions.Singleline).Groups[1].Value;

        Assert.InRange(shown.Split('\n').Length, 30, 40);
    }

    /// <summary>A real server of jobs: a repeated key gives the same job, whose text grows with each look.</summary>
    private sealed class JobServer : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<string, (string Id, string Text)> _jobs = new(StringComparer.Ordinal);
        private readonly ConcurrentDictionary<string, int> _looks = new(StringComparer.Ordinal);
        private readonly TaskCompletionSource _looked = new();
        private readonly WebApplication _app;

        private JobServer()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            _app = builder.Build();
            _app.Urls.Add("http://127.0.0.1:0");
            _app.MapPost("/jobs", (Post post) =>
            {
                Posts.Enqueue(post);
                var (id, _) = _jobs.GetOrAdd(post.Key, _ => ($"job-{_jobs.Count + 1}", "You said " + string.Join("|", post.Texts)));
                return LosesAnswers-- > 0 ? Results.StatusCode(502) : Results.Json(Job(id, "working", ""));
            });
            _app.MapGet("/jobs/{id}", (string id) =>
            {
                _looked.TrySetResult();
                var text = _jobs.Values.Single(j => j.Id == id).Text;
                if (Fails)
                {
                    return Job(id, "failed", "The job broke.");
                }

                return HoldsBack || _looks.AddOrUpdate(id, 1, (_, n) => n + 1) == 1 ? Job(id, "working", text[..4]) : Job(id, "done", text);
            });
            _app.MapDelete("/jobs/{id}", (string id) =>
            {
                Cancelled.Enqueue(id);
                return RefusesToCancel ? Results.StatusCode(500) : Results.Json(Job(id, "cancelled", ""));
            });
        }

        public bool HoldsBack { get; set; }

        public bool Fails { get; set; }

        public bool RefusesToCancel { get; set; }

        public int LosesAnswers { get; set; }

        public ConcurrentQueue<Post> Posts { get; } = new();

        public ConcurrentQueue<string> Cancelled { get; } = new();

        public Task Looked => _looked.Task;

        public HttpClient Client { get; } = new();

        public static async Task<JobServer> StartAsync()
        {
            var server = new JobServer();
            await server._app.StartAsync();
            server.Client.BaseAddress = new Uri(server._app.Urls.Single() + "/");
            return server;
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await _app.DisposeAsync();
        }

        private static object Job(string id, string state, string text) => new { id, state, text, session = "session-1" };
    }

    private sealed record Post(string Key, string? Session, string[] Texts);
}
