using AssistantQueue;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace WebChat.Controllers;

/// <summary>Says how the queue is doing, and what it stands on.</summary>
[ApiController]
[Route("api/queue")]
public sealed class QueueController(IAssistantMessageQueue queue, Setup setup, IOptionsMonitor<AssistantQueueOptions> options) : ControllerBase
{
    /// <summary>The counts of messages and threads by state.</summary>
    [HttpGet("status")]
    public Task<QueueStatus> Status(CancellationToken cancellationToken) => queue.GetQueueStatusAsync(cancellationToken);

    /// <summary>What the page shows about this program; no credentials.</summary>
    [HttpGet("setup")]
    public object DescribeSetup() => new { setup.Redis, setup.Model, setup.Worker, Seconds = options.CurrentValue.MessageDelay.TotalSeconds };
}
