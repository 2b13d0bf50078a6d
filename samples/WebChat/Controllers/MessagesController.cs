using System.ComponentModel.DataAnnotations;
using AssistantQueue;
using Microsoft.AspNetCore.Mvc;
using WebChat.Api;

namespace WebChat.Controllers;

/// <summary>Takes messages into threads and hands out their replies.</summary>
[ApiController]
[Route("api/threads/{threadId}/messages")]
public sealed class MessagesController(IAssistantMessageQueue queue, IHostApplicationLifetime lifetime) : ControllerBase
{
    // A text of the most characters that the queue takes, each written as \uXXXX.
    private const int MaxBody = 64 << 20;

    /// <summary>Adds a message. When this has answered 202, the message is stored.</summary>
    [HttpPost]
    [RequestSizeLimit(MaxBody)]
    [ProducesResponseType<MessageReceipt>(StatusCodes.Status202Accepted)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status400BadRequest)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status409Conflict)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status429TooManyRequests)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status503ServiceUnavailable)]
    public async Task<IActionResult> Add(string threadId, NewMessage message, CancellationToken cancellationToken)
    {
        // An id that the app gives is recognised when it comes again, and found when somebody asks for its reply.
        var messageId = message.MessageId ?? Guid.CreateVersion7().ToString("N");
        HttpContext.Items[QueueExceptionHandler.MessageIdItem] = messageId;

        var receipt = await queue.EnqueueAsync(
            new AssistantMessage
            {
                ThreadId = RouteText.Unescape(threadId),
                Text = message.Text ?? "",
                Instructions = message.Instructions,
                MessageId = messageId,
                Delay = message.Delay,
                WhenBusy = message.WhenBusy,
            },
            cancellationToken);

        return AcceptedAtAction(nameof(Reply), new { threadId, messageId = receipt.MessageId, sequence = receipt.Sequence }, receipt);
    }

    /// <summary>Waits for the reply to the batch that a message was in.</summary>
    /// <param name="threadId">The thread.</param>
    /// <param name="messageId">The message.</param>
    /// <param name="sequence">The receipt's sequence; needed only for messages that another program added without an id of their own.</param>
    /// <param name="timeout">How long to wait, in seconds.</param>
    /// <param name="cancellationToken">The caller has gone.</param>
    [HttpGet("{messageId}/reply")]
    [ProducesResponseType<AssistantReply>(StatusCodes.Status200OK)]
    [ProducesResponseType(StatusCodes.Status204NoContent)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status404NotFound)]
    [ProducesResponseType<ProblemDetails>(StatusCodes.Status422UnprocessableEntity)]
    public async Task<IActionResult> Reply(
        string threadId,
        string messageId,
        long? sequence,
        [Range(1, 120)] int timeout = 30,
        CancellationToken cancellationToken = default)
    {
        using var timeUp = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        timeUp.CancelAfter(TimeSpan.FromSeconds(timeout));
        var receipt = new MessageReceipt { ThreadId = RouteText.Unescape(threadId), MessageId = RouteText.Unescape(messageId), Sequence = sequence ?? 0 };
        try
        {
            return Ok(await queue.WaitForReplyAsync(receipt, timeUp.Token));
        }
        catch (OperationCanceledException) when (timeUp.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return NoContent();
        }
    }
}
