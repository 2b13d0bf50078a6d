using AssistantQueue;
using Microsoft.AspNetCore.Mvc;
using WebChat.Api;

namespace WebChat.Controllers;

/// <summary>What people do in a conversation besides sending messages: they type, and they decide about tool calls.</summary>
[ApiController]
[Route("api/threads/{threadId}")]
public sealed class ConversationController(IAssistantMessageQueue queue, IAssistantQueueAdmin admin) : ControllerBase
{
    /// <summary>Holds the thread's waiting messages back: its user is typing.</summary>
    [HttpPost("typing")]
    [ProducesResponseType(StatusCodes.Status204NoContent)]
    public async Task<IActionResult> Typing(string threadId, CancellationToken cancellationToken)
    {
        await queue.NotifyTypingAsync(RouteText.Unescape(threadId), cancellationToken);
        return NoContent();
    }

    /// <summary>Approves or rejects a tool call that waits for it.</summary>
    [HttpPost("calls/{callId}")]
    [ProducesResponseType(StatusCodes.Status204NoContent)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status404NotFound)]
    public async Task<IActionResult> Decide(string threadId, string callId, Decision decision, CancellationToken cancellationToken)
    {
        var (thread, call) = (RouteText.Unescape(threadId), RouteText.Unescape(callId));
        await (decision.Approved ? admin.ApproveAsync(thread, call, cancellationToken) : admin.RejectAsync(thread, call, decision.Reason, cancellationToken));
        return NoContent();
    }
}
